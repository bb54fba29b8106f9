"""BOSH (XEP-0124, XEP-0206) without input or output: requests and time come in, events go out (pure).

The way in is `boshgate.bosh.session.Session`; its inputs take `now` in integer milliseconds, and after each
of them the caller empties `next_event()` and asks `get_timer()`::

    Session(sid, new_name, exchange, request: Body, policy: SessionPolicy, now)  # raises BindingError
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
- `ReturnPayloads` comes before that where something still waited for a client that is gone (XEP-0206 7).
- `boshgate.bosh.body.terminal_body(condition)` answers a request that belongs to no session.
- `Respond.status` is 200 but for clients without ``ver`` (17.1). A refused creation has no session: there
  `boshgate.bosh.conditions.legacy_status` tells.
- `SessionPolicy.accept` announces the codings that the caller takes off requests before `parse_body` (7.2).
- Each mechanism that few clients use is a machine of its own, and None where it is not used: `acks` (9),
  `keys` (15), `polling` (12).
- `new_name()` gives each stream a name (16.2). After the first one, `OpenStream` is a question: who cannot
  open that stream says so by `stream_closed(stream, condition, now)`, and the session goes on without it.
"""
