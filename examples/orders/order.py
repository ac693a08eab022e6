"""Sends four orders, one of them twice, and waits until each is booked and mailed, or dead."""

import json
import time

import boto3

sns, sqs, logs = (boto3.client(name) for name in ("sns", "sqs", "logs"))
ORDERS = [
    {"customer": "ada", "number": 1, "amount": 30, "address": "ada@example.com"},
    {"customer": "bob", "number": 1, "amount": 5, "address": "bob@example.com"},
    {"customer": "cyd", "number": 1, "amount": 12, "address": "cyd@example.org"},
    {"customer": "ada", "number": 2, "amount": 8, "address": "ada@example.com"},
]
WAIT_S = 300


def main():
    topic = sns.create_topic(Name="orders.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    for order in [*ORDERS, ORDERS[0]]:
        sns.publish(
            TopicArn=topic,
            Message=json.dumps(order),
            MessageGroupId=order["customer"],
            MessageDeduplicationId=f"{order['customer']}-{order['number']}",
        )
    wait_until(lambda: len(said("orders-book", "booked")) == 4 and dead() == 1)
    print("booked:", shown(said("orders-book", "booked")))
    print("mailed:", shown(said("orders-mail", "mailed")))
    print("dead:   cyd 1")


def said(function, word):
    """What the function has printed, each line once: an order may be handled again after a crash."""
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{function}", filterPattern=f"{{ $.{word} = * }}"
    )
    try:
        return {json.loads(event["message"])[word] for page in pages for event in page["events"]}
    except logs.exceptions.ResourceNotFoundException:
        return set()  # it has not run yet


def dead():
    """How many letters are dead."""
    url = sqs.get_queue_url(QueueName="orders-mail-dead")["QueueUrl"]
    names = ["ApproximateNumberOfMessages"]
    return int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]])


def wait_until(holds):
    ends_s = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > ends_s:
            raise SystemExit("It takes too long. What do the functions' logs say?")
        time.sleep(1)


def shown(orders):
    return ", ".join(sorted(orders)) or "none"


if __name__ == "__main__":
    main()
