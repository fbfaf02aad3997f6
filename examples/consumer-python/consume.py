"""Reads every tick of the stream once and in order, over failovers of the feed, restarts of this program and outages of NATS.

    pip install -r requirements.txt
    NATS_URL=nats://127.0.0.1:4222 POSITION_FILE=position.json python3 consume.py

Three numbers keep it whole. The *stream sequence* has no gaps: a missing one means that messages were removed before we read them,
and one that comes twice is skipped. *seq with host* names a tick for ever, also when its stream is made anew. The *epoch* grows when
another line or another host takes over; a tick of an older epoch than one already seen comes from a writer that was deposed.

The position is saved after the ticks were handled, so a crash in between handles some twice. Where that matters, save it together
with the results in one transaction.
"""

import asyncio
import json
import os
import signal
import sys

import nats
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError

URL = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
STREAM = os.environ.get("NATS_STREAM", "MARKET_TICKS")
PREFIX = os.environ.get("NATS_SUBJECT_PREFIX", "market")
POSITION_FILE = os.environ.get("POSITION_FILE", "position.json")
CONSUMER = os.environ.get("CONSUMER", "example-python")
REQUEST_PREFIX = "" if PREFIX == "market" else PREFIX + "."


def handle(tick):
    """What the ticks are for. Here they are printed."""
    print(json.dumps(tick, separators=(",", ":")), flush=True)


def note(text):
    print(text, file=sys.stderr, flush=True)


class Reader:
    def __init__(self, connection):
        self.connection = connection
        self.js = connection.jetstream()
        self.stopping = False
        try:
            with open(POSITION_FILE, encoding="utf-8") as file:
                self.position = json.load(file)
        except (OSError, ValueError):
            self.position = {"created": "", "streamSequence": 0, "host": "", "seq": 0, "epoch": 0}

    def save(self):
        with open(POSITION_FILE + ".new", "w", encoding="utf-8") as file:
            json.dump(self.position, file)
        os.replace(POSITION_FILE + ".new", POSITION_FILE)

    async def stream_facts(self):
        """Date and first sequence. Asked for as plain JSON, because the date tells a stream that was made anew."""
        reply = await self.connection.request(f"$JS.API.STREAM.INFO.{STREAM}", b"", timeout=5)
        info = json.loads(reply.data)
        if "error" in info:
            raise NatsError(info["error"]["description"])
        return info["created"], info["state"]["first_seq"]

    async def check_stream(self):
        """A stream that is not the one we know begins at its first message; ticks already handled are known by host and seq."""
        created, first = await self.stream_facts()
        if self.position["created"] == created:
            return
        if self.position["created"] != "":
            note("the stream was made anew; ticks between the old one and this one may be missing")
        self.position.update(created=created, streamSequence=max(0, first - 1))

    async def take_snapshot(self):
        """A new consumer does not have to wait for the next tick of every contract to know where each stands."""
        after, known = "", 0
        while after is not None:
            try:
                request = json.dumps({"after": after}).encode()
                reply = await self.connection.request(REQUEST_PREFIX + "md.snapshot", request, timeout=5)
            except NatsError:
                return note("no daemon answered for a snapshot")
            page = json.loads(reply.data)
            known += len(page.get("ticks", []))
            after = page.get("next")
        note(f"snapshot of {known} contracts")

    async def consume(self):
        """From the position on, until the stream or the consumer goes away or a hole has to be looked at."""
        await self.check_stream()
        if self.position["seq"] == 0:
            await self.take_snapshot()
        # Made anew at every start, at our own position: an old one would first deliver new ticks and the unacknowledged ones later.
        # Durable, so that the daemon's consumer_backlog_messages shows how far behind we are.
        try:
            await self.js.delete_consumer(STREAM, CONSUMER)
        except JetStreamError:
            pass
        await self.js.add_consumer(
            STREAM,
            ConsumerConfig(
                durable_name=CONSUMER,
                ack_policy=AckPolicy.ALL,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self.position["streamSequence"] + 1,
                max_ack_pending=20_000,
            ),
        )
        subscription = await self.js.pull_subscribe_bind(CONSUMER, STREAM)
        while not self.stopping:
            try:
                messages = await subscription.fetch(1000, timeout=1)
            except asyncio.TimeoutError:
                continue
            for message in messages:
                if not await self.take(message):
                    return
            self.save()
            # Acknowledges everything before it, too.
            await messages[-1].ack()

    async def take(self, message):
        """False when the message is not the next one and reading has to begin again at the position."""
        sequence = message.metadata.sequence.stream
        expected = self.position["streamSequence"] + 1
        if sequence < expected:
            return True
        if sequence > expected:
            _, first = await self.stream_facts()
            if first <= expected:
                return False
            note(f"LOST: messages {expected} to {first - 1} were removed before they were read")
            if sequence != first:
                self.position["streamSequence"] = first - 1
                return False
        tick = json.loads(message.data)
        epoch = self.position["epoch"]
        is_known = tick["host"] == self.position["host"] and tick["seq"] <= self.position["seq"] and tick["epoch"] <= epoch
        if tick["epoch"] > epoch:
            note(f"epoch {tick['epoch']}: {tick['line']} of {tick['host']} from tick {tick['seq']} on")
        self.position["streamSequence"] = sequence
        if is_known or tick["epoch"] < epoch:
            return True
        handle(tick)
        self.position.update(host=tick["host"], seq=tick["seq"], epoch=tick["epoch"])
        return True

    async def follow_feed_state(self):
        """The last state at once, then every change. GAP tells what is missing, and since when."""
        subject = f"{PREFIX}.feed.state"

        async def show(message):
            state = json.loads(message.data)
            note(f"feed {state['state']}, epoch {state['epoch']}, {state['serving_line']} serves")
            if state["state"] == "GAP":
                what = f"{len(state['instruments'])} contracts" if "instruments" in state else "everything"
                note(f"GAP: nothing of {what} from {state.get('from', '?')} to {state.get('to', 'now')}")

        await self.connection.subscribe(subject, cb=show)
        try:
            await show(await self.js.get_last_msg(f"{STREAM}_STATE", subject))
        except NatsError:
            pass


async def main():
    connection = await nats.connect(URL, max_reconnect_attempts=-1, reconnect_time_wait=0.2)
    reader = Reader(connection)

    def stop():
        reader.stopping = True

    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop)
    await reader.follow_feed_state()
    while not reader.stopping:
        try:
            await reader.consume()
        except (NatsError, JetStreamError, asyncio.TimeoutError) as error:
            note(f"reading was interrupted, going on: {error}")
            await asyncio.sleep(0.5)
    reader.save()
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
