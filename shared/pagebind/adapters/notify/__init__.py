"""Who is told: people by Apprise, readers of books by HTTP. Neither is looked up nor reached before it is told."""
