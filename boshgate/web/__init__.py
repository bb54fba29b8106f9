"""The HTTP side: the ASGI application, its BOSH and WebSocket endpoints, health, CORS, client addresses."""
