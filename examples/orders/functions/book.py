"""Books orders. Reads a FIFO queue: the orders of a customer (its message group) come in the order they were made.

After an order that fails, what follows of the same customer must wait for it: all of it is named in the answer, and
comes again in the same order. Other customers go on.
"""

import json


def handler(event, context):
    failed, waiting = [], set()
    for record in event["Records"]:
        customer = record["attributes"]["MessageGroupId"]
        if customer not in waiting:
            try:
                book(json.loads(record["body"]))
                continue
            except ValueError as error:
                print(f"{customer} waits: {error}")
                waiting.add(customer)
        failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def book(order):
    if order["amount"] <= 0:
        raise ValueError("an order must be worth something")
    print(json.dumps({"booked": f"{order['customer']} {order['number']}"}))
