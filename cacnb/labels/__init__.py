"""What people say about a scan: events, the store that keeps them, queues; no widget."""
