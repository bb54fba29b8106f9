"""XMPP's XML without input or output: the parser, the stream framer, negotiation, RFC 7395 frames (pure)."""
