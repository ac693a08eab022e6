"""greetingsOnDemand, in Python: the first function of many a course."""


def handler(event, context):
    name = event.get("name", "World")
    print("Greeting", name, "as version", context.function_version)
    return f"Hello {name}!"
