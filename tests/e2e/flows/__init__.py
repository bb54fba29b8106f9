"""What XMPP users do, through the gateway: StanzaJS on one side, a plain stream on the other."""
