"""The demo server and its small library: for `pagebind demo` and the tests, never in the cloud."""
