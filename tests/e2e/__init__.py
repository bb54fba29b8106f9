"""Real clients, in Chromium and in Node, against real servers behind boshgate."""
