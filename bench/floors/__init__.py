"""What figures are measured against: plain processes, a fixed answer over HTTP, an ideal Runtime API server."""
