"""The BOSH sessions of this process: the pure session joined to its streams, its exchanges and the clock."""
