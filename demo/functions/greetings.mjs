// greetingsOnDemand, in Node.

export const handler = async (event, context) => {
  const name = event.name ?? "World";
  console.log("Greeting", name, "as version", context.functionVersion);
  return `Hello ${name}!`;
};
