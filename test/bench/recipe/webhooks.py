"""The common receiver of webhooks: verify, store under a random key, answer 200.

Served by gunicorn with threads and connections that stay open:

    gunicorn -k gthread -w 2 --threads 32 webhooks:app

S3_ENDPOINT, S3_BUCKET, S3_PREFIX, WEBHOOK_SECRET and the variables of boto3 say where to.
"""
import base64
import hashlib
import hmac
import os
import uuid

import boto3
from botocore.config import Config
from flask import Flask, abort, request

SECRET = os.environ["WEBHOOK_SECRET"].encode()
BUCKET = os.environ["S3_BUCKET"]
PREFIX = os.environ["S3_PREFIX"]

app = Flask(__name__)
s3 = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"],
                  config=Config(max_pool_connections=32, s3={"addressing_style": "path"}))


@app.post("/webhooks/<name>")
def receive(name):
    body = request.get_data()
    mac = base64.b64encode(hmac.new(SECRET, body, hashlib.sha256).digest()).decode()
    if not hmac.compare_digest(mac, request.headers.get("X-Shopify-Hmac-Sha256", "")):
        abort(401)
    topic = request.headers.get("X-Shopify-Topic", "unknown").replace("/", "-")
    s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}{topic}/{uuid.uuid4()}.json", Body=body)
    return "", 200
