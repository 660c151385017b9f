"""The world as it is: servers, stores, queues and secrets behind the ports."""
