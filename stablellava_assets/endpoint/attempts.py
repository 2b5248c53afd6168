"""One sending of a request: built ahead of time, let go when its turn comes, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import openai

from stablellava_assets.endpoint.outgoing import Item
from stablellava_assets.endpoint.replies.refusals import UnavailableError
from stablellava_assets.endpoint.transport import Response, Transport


class Attempt:
    """A request that waits, built, until :meth:`let_go`; then ``arrived`` receives this with its ``result``.

    Building takes as long as all the rest. Done ahead, it keeps no place empty.

    Args:
        item: what is sent.
        client: sends it.
        timeout_s: seconds without an answer after which it is given up.
        arrived: is called once, unless this is cancelled.
    """

    def __init__(
        self,
        item: Item,
        transport: Transport,
        client: openai.AsyncOpenAI,
        timeout_s: float,
        arrived: Callable[[Attempt], None],
    ) -> None:
        self.item = item
        self.result: Response | BaseException | None = None
        self.epoch = 0
        self.answers = 0
        self._timeout_s = timeout_s
        self._arrived = arrived
        loop = asyncio.get_running_loop()
        self._turn: asyncio.Future[None] = loop.create_future()
        self._task = loop.create_task(self._run(transport, client))

    def let_go(self, epoch: int, answers: int) -> None:
        """Send it. How many congestions and answers there were by then is kept with it."""
        self.epoch, self.answers = epoch, answers
        self._turn.set_result(None)

    def cancel(self) -> None:
        """Cancel the request, whether or not it was sent."""
        self._task.cancel()

    async def _run(self, transport: Transport, client: openai.AsyncOpenAI) -> None:
        try:
            async with asyncio.timeout(None) as deadline:
                self._turn.add_done_callback(lambda turn: self._start_clock(deadline))
                self.result = await transport.post(client, self.item.to_send.path, self.item.body, self._turn)
        except TimeoutError:
            late = f"no answer within {self._timeout_s:g} s (timeout_s)"
            self.result = UnavailableError(late, may_be_charged=True, overloaded=True)
        except Exception as error:
            self.result = error
            await self._turn  # It may have failed while it was built.
        self._arrived(self)

    def _start_clock(self, deadline: asyncio.Timeout) -> None:
        if not self._turn.cancelled():
            deadline.reschedule(asyncio.get_running_loop().time() + self._timeout_s)
