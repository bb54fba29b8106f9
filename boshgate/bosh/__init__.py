"""BOSH (XEP-0124, XEP-0206) without input or output: requests and time come in, events go out (pure)."""
