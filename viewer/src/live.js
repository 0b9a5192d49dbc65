// A live match: states come as server-sent events, wishes go back as small POST requests.

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
    // The server is gone; the stream of states says so.
  }
}
