"""The TCP streams to the XMPP servers (RFC 6120): addresses, TLS, the stream and its negotiation."""
