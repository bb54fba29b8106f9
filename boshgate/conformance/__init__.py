"""A black-box kit that tells of any BOSH or WebSocket endpoint which rules of the standards it keeps."""
