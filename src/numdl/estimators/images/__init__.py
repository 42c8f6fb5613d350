"""Images by patches of them, a kernel on what these say, and a network motivated by PDEs that begins from them."""
