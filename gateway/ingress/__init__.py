"""What every door on the network shares: the web server, bodies on their way in, keys in headers, the caller's address."""
