"""A playground: a small XMPP server in this process, for ``boshgate demo`` and tests; not for real use."""
