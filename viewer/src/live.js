// A live match: states arrive as server-sent events, commands are sent as small POST requests.

/** `on`: functions header(document), frame(frame), status(document), lost(). */
export function connect(on) {
  const source = new EventSource("events");
  for (const name of ["header", "frame", "status"]) {
    source.addEventListener(name, (event) => on[name](JSON.parse(event.data)));
  }
  source.onerror = () => on.lost();
  return source;
}

export async function send(command) {
  try {
    await fetch("command", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(command),
    });
  } catch {
    // The server has ended; lost() reports it.
  }
}
