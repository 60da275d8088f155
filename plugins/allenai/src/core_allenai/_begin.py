"""The beginning of a call: who asks, what there is to continue, and what has to be posted for it."""

import uuid
from typing import TYPE_CHECKING

from aiohttp import ClientSession
from attrs import evolve
from multidict import CIMultiDict

from core_allenai._call import USER_HEADER, Call
from core_allenai._catalog import Catalog
from core_allenai._errors import refine
from core_allenai._form import Settings
from core_allenai._options import AllenAIOptions
from core_allenai._preparing import Preparation
from core_allenai._state import read_state
from core_allenai._turns import Plan, from_transcript, plan_posts, replay_notice
from core_chat.http import client_for, credential
from core_chat.requests import ChatRequest

if TYPE_CHECKING:
    from core_allenai._provider import AllenAI


def begin(
    request: ChatRequest, session: ClientSession, *, options: AllenAIOptions, provider: "AllenAI", catalog: Catalog
) -> Call:
    """Return a call.

    Raises:
        InvalidRequestError: A message or a credential cannot be sent.
    """
    token = credential(request, provider.token, about=provider.about)
    plan, user = _plan(request, signed_in=token is not None)
    if token is None:
        given = CIMultiDict(request.headers).get(USER_HEADER)
        user = given or user or provider.anonymous_user_id or str(uuid.uuid4())
    client = client_for(session, request, base_url=provider.base_url, token=token, refine=refine)
    settings = Settings(
        private=provider.private if options.private is None else options.private,
        host=options.host or provider.host,
        selected_tools=options.selected_tools,
    )
    return Call(
        request=request,
        client=client,
        catalog=catalog,
        generations=provider.generations(options),
        user=user,
        plan=plan,
        preparation=Preparation(request=request, session=session, client=client, catalog=catalog, settings=settings),
        options=options,
    )


def _plan(request: ChatRequest, *, signed_in: bool) -> tuple[Plan, str | None]:
    """The plan of a call, and the anonymous id of the thread it continues; a thread stays with whoever began it."""
    state = read_state(request.state)
    if state is not None and (state.anonymous_user_id is None) == signed_in:
        plan = plan_posts(request, state)
        return plan, state.anonymous_user_id if plan.state else None
    plan = from_transcript(request.messages)
    if request.state is None:
        return plan, None
    why = "the conversation's state cannot be read"
    if state is not None:
        began = "with a token" if state.anonymous_user_id is None else "anonymously"
        why = f"the conversation was begun {began}"
    return evolve(plan, notices=(replay_notice(why), *plan.notices)), None
