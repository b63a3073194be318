"""Messages with links and without: two decoders, and one result."""

from __future__ import annotations

import msgspec
import pytest

from degentcivil_nb.protocol.codec import decode_frames, encode_batch
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import PlainMessage, RawMessage, linked

LINKS = [
    b'"cause":"a"',
    b'"event_id":"\\u00e4"',
    b'"sim_time":1.5',
    b'"intervention":{"client":"x"}',
    b'"c\\u0061use":"a"',
    b'"\\u0065vent_id":7',
    b'"cause":null',
    b'"version":3',
    b'"cause":"a","cause":["b"]',
]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("first", [True, False])
def test_no_key_of_an_envelope_is_overlooked_wherever_and_however_it_is_written(
    link: bytes, place: int, first: bool
) -> None:
    messages = [b'{"type":"x","data":{"cause":1},"seq":%d}' % number for number in (1, 2, 3)]
    messages[place] = b'{%b,"type":"x","seq":9}' % link if first else b'{"type":"x","seq":9,%b}' % link
    expected = [msgspec.json.decode(message, type=RawMessage) for message in messages]
    assert [encode(message) for message in decode_frames(messages)] == [encode(message) for message in expected]
    for frames in (messages, [encode_batch(messages)], [b" " + encode_batch(messages)]):
        found = decode_frames(frames)
        assert found == expected
        assert [message.links() for message in found] == [message.links() for message in expected]
        assert linked(found) == ([] if link in (b'"cause":null', b'"version":3') else [place])


def test_messages_are_equal_by_their_values_whichever_class_they_are_of() -> None:
    plain, other = decode_frames([b'{"type":"x","seq":1}', b'{"type":"x","seq":2}'])
    assert type(plain) is PlainMessage
    assert plain == RawMessage("x", seq=1)
    assert plain not in (other, RawMessage("x", seq=1, cause="a"), "x")
    assert (plain.cause, plain.event_id, plain.sim_time, plain.intervention) == (None, None, None, None)


@pytest.mark.parametrize("turns", ["sbsb", "bssbb", "ssbs", "b", "sB", "sBsb"])
def test_messages_are_the_same_however_single_ones_and_batches_take_turns(turns: str) -> None:
    frames, expected, seq = [], [], 0
    for turn in turns:
        seq += 2
        told = [b'{"type":"x","data":{"n":1},"seq":%d}' % (seq - number) for number in (1, 0)]
        frames += told if turn == "s" else [b" " * (turn == "B") + encode_batch(told, covers=(seq - 1, seq))]
        marker = [] if turn == "s" else [RawMessage("batch", covers=(seq - 1, seq))]
        expected += [*marker, *(msgspec.json.decode(message, type=RawMessage) for message in told)]
    assert decode_frames(frames) == expected
