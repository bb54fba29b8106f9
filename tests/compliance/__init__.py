"""The rules that boshgate is held to, and the matrix of the tests that hold it to them."""
