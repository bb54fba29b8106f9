"""BOSH (XEP-0124, XEP-0206) without input or output: requests and time come in, events go out (pure).

The way in is `boshgate.bosh.session.Session`; its inputs take `now` in integer milliseconds, and after each
of them the caller empties `next_event()` and asks `get_timer()`::

    Session(sid, stream, exchange, request: Body, policy: SessionPolicy, now)    # raises BindingError
    .receive_request(exchange, body, now)            .exchange_lost(exchange, now)
    .stream_opened(stream, *, authid, from_, version, now)
    .receive_payloads(stream, payloads, now)         .stream_closed(stream, condition | None, now)
    .terminate(condition, now)                       .handle_timer(now)
    .next_event() -> Event | None                    .get_timer() -> int | None
    .sid  .content  .grant  .state  .undelivered  .discarded

- The digest of a request is in its `Body` (`parse_body` computes it).
- `SessionTerminated` comes last: after the linger (13, 14.3), or once a condition that waited for the client
  (17.2) was given or became pointless. Requests that reach the session later get `item-not-found`. Before,
  `state` TERMINATED tells that nothing but the linger is left: who is in a hurry can forget the session then.
- After `SessionTerminated` the session ignores what the stream still brings, and counts it in `undelivered`.
- `CloseStream(clean=False)` means: not the client's and not the server's wish. Close a stream that XEP-0198
  can resume without `</stream:stream>`, any other one as you like.
- `boshgate.bosh.body.terminal_body(condition)` answers a request that belongs to no session.
- Not here yet, and where it will go: acks and `report` beside `replies`; key sequences before
  `Session._process`, as they are checked in rid order; more streams in `streams`; polling limits beside
  `Window.count_repeat`; HTTP codes, for `Grant.ver` None, in the shell. `Body.attributes` has what they need.
"""
