"""Sends one delivery: a checked address, no redirects, one deadline for all of it, nothing read but the status."""

import ssl
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from kamu_assets.clock import Clock
from kamu_assets.egress.http import GuardedTransport, parse_url
from kamu_assets.egress.network import Deadline, DeadlineError
from kamu_assets.egress.policy import EgressDeniedError, EgressPolicy
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from kamu_assets.webhooks.errors import DeliveryFailedError, ReceiverGoneError
from kamu_assets.webhooks.model import Delivery, Subscription
from kamu_assets.webhooks.patience import retry_after
from kamu_assets.webhooks.recall import Recall
from kamu_assets.webhooks.sealing import Seal
from kamu_assets.webhooks.signature import Origin, SignedRequest, headers
from kamu_assets.webhooks.targets import schemes

USER_AGENT = "Kamu-Webhook/1.0"


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivery with all that is needed to send it."""

    subscription: Subscription
    delivery: Delivery
    body: bytes


class Sender:
    """Speaks HTTP with receivers. `context`: whom to trust, if not the usual authorities."""

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        seal: Seal,
        clock: Clock,
        timeout_seconds: float,
        allow_http: bool = False,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._schemes = schemes(allow_http=allow_http)
        self._seal = seal
        self._clock = clock
        self._timeout = timeout_seconds
        self._context = context

    def send(self, letter: Letter, *, recall: Recall | None = None) -> int:
        """The status of an answer that means success, which all of 2xx do; DeliveryFailedError.

        What is called back before it is sent is not sent any more.
        """
        request = self._request(letter)
        if request.url.scheme not in self._schemes:
            # It was subscribed when that was allowed.
            raise DeliveryFailedError("Failed to connect: the target is not https")
        deadline = Deadline(self._timeout, is_over=recall.is_asked if recall else None)
        try:
            with GuardedTransport(self._policy, deadline, context=self._context) as transport:
                answer = transport.handle_request(request)
                # Whatever its body says, and however much it is: it is not read.
                answer.close()
        except (DeadlineError, httpx.TimeoutException):
            raise DeliveryFailedError(f"No answer within {self._timeout:g} seconds") from None
        except EgressDeniedError:
            raise DeliveryFailedError("Failed to connect: the address of the target is not public") from None
        except httpx.ConnectError as error:
            raise DeliveryFailedError(_why_no_connection(error)) from None
        except httpx.TransportError:
            raise DeliveryFailedError("The connection broke before there was an answer") from None
        if answer.is_success:
            return answer.status_code
        raise _refusal(answer, self._clock.now())

    def _request(self, letter: Letter) -> httpx.Request:
        subscription, delivery = letter.subscription, letter.delivery
        url = parse_url(subscription.target_url)
        signed = SignedRequest(
            path=url.raw_path.decode().partition("?")[0],
            authority=url.netloc.decode(),
            body=letter.body,
            moment=self._clock.now().ns // NANOS_PER_SECOND,
        )
        origin = Origin(delivery.id, subscription.id, delivery.event_type, delivery.attempt)
        own = headers(signed, origin, self._seal.opened(subscription).get_secret_value())
        timeout = httpx.Timeout(self._timeout).as_dict()
        return httpx.Request(
            "POST",
            url,
            headers={"user-agent": USER_AGENT, **own},
            content=letter.body,
            extensions={"timeout": timeout},
        )


def _why_no_connection(error: httpx.ConnectError) -> str:
    # Closed ports and names without an address look the same.
    return "Failed to connect: the target has no certificate that is trusted" if _is_tls(error) else "Failed to connect"


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _refusal(answer: httpx.Response, now: Timestamp) -> DeliveryFailedError:
    status = answer.status_code
    kind = ReceiverGoneError if status == HTTPStatus.GONE else DeliveryFailedError
    what = " and is not followed" if answer.has_redirect_location else ""
    return kind(f"The target answered {status}{what}", status=status, retry_after=retry_after(answer.headers, now))
