"""What receivers of webhooks get and how they check it, for whoever writes one."""

RECEIVING = """\
What a receiver gets: a POST with JSON, each at least once and in order; what comes while
one waits is folded into it, from the first old_hash to the last new_hash:
  {"version": 2, "dataset_id": "did:odf:…", "owner_account_id": "did:odf:…",
   "block_ref": "head", "new_hash": "f1620…", "old_hash": "f1620…", "is_breaking_change": false}
old_hash is absent for a new dataset; is_breaking_change: blocks before new_hash were replaced.
Headers: x-webhook-delivery-id (the same whenever a delivery is repeated),
x-webhook-delivery-attempt, x-webhook-subscription-id, x-webhook-event-type,
x-webhook-timestamp, content-digest (RFC 9530), signature-input and signature.
Any 2xx within webhooks.timeout_seconds is success; 410 ends the subscription; all else is
tried again (webhooks.max_attempts, webhooks.retry_seconds, Retry-After). What failed each time
is not sent any more: the next old_hash is then not the last new_hash that came.

Of the two signatures `rfc9421` is by RFC 9421 (hmac-sha256); the key is the text of the
secret, not what its digits stand for. `sig1` is what receivers of kamu's webhooks check.
In Python, with the headers' names in lower case:
  params = re.search(r'rfc9421=([(].*)', headers["signature-input"]).group(1)
  known = {"@method": "POST", "@path": path, "@authority": headers["host"], **headers}
  names = re.findall(r'"([^"]+)"', params.partition(")")[0])
  base = "\\n".join([*(f'"{n}": {known[n]}' for n in names), f'"@signature-params": {params}'])
  mac = base64.b64encode(hmac.digest(secret.encode(), base.encode(), "sha256")).decode()
  digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
  good = f"rfc9421=:{mac}:" in headers["signature"] and digest in headers["content-digest"]"""
