"""Helpers of the tests and of the bench: real servers, the gateway as a process, raw clients, proxies."""
