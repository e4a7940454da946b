"""Answering many requests at once: laid out in memory, their blocks read together."""

from collections.abc import Sequence

from pearbox_edge.wire import Buffer

from .hooks import Refusal, RefusalReason
from .loading import Loader
from .manifest import Manifest
from .node_cache import ColdPagesError
from .proof import BlockPart, Proof, ProofRequest
from .prover import RefusedError
from .state import Answer, CoreState


async def prove_all(
    loader: Loader, state: CoreState, requests: Sequence[ProofRequest]
) -> list[Proof | Refusal]:
    """Answers in order. Blocks come as views of what neighbours were read with."""
    shrinks = state.shrinks
    await loader.warm(request.block.index for request in requests if request.block is not None)
    answers: list[Answer | RefusalReason] = []
    for request in requests:
        try:
            answers.append(await _answer(loader, state, request))
        except RefusedError as refused:
            answers.append(refused.reason)
    places = [a.place for a in answers if isinstance(a, Answer) and a.place is not None]
    values = iter(await loader.read_places(places, shrinks))
    out: list[Proof | Refusal] = []
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(answer, RefusalReason):
            out.append(_refusal(state, request, answer))
            continue
        value = answer.block if answer.place is None else next(values)
        if request.block is not None and value is None:
            out.append(_refusal(state, request, RefusalReason.NOT_AVAILABLE))
        else:
            out.append(_proof(state, request, answer, value))
    return out


async def _answer(loader: Loader, state: CoreState, request: ProofRequest) -> Answer:
    try:
        return state.answer(request)
    except ColdPagesError as cold:
        await loader.load(cold.pages)
    return await loader.run(lambda: state.answer(request))


def _proof(state: CoreState, request: ProofRequest, answer: Answer, value: Buffer | None) -> Proof:
    parts, block = answer.parts, None
    if request.block is not None and value is not None:
        block = BlockPart(request.block.index, value, parts.path or [])
    manifest = _manifest_for(state, request)
    return Proof(answer.fork, block, parts.hash, parts.seek, parts.upgrade, manifest)


def _refusal(state: CoreState, request: ProofRequest, reason: RefusalReason) -> Proof | Refusal:
    manifest = _manifest_for(state, request)
    if reason is RefusalReason.NOT_AVAILABLE and manifest is not None:
        return Proof(state.head.fork, manifest=manifest)
    return Refusal(reason)


def _manifest_for(state: CoreState, request: ProofRequest) -> Manifest | None:
    return state.manifest if request.manifest and not state.is_compat else None
