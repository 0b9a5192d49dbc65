// Reads a recording: a zip of .npy arrays and header.json, unpacked by the browser. docs/recordings.md describes it.

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const TYPES = {
  "<f4": Float32Array,
  "<i4": Int32Array,
  "<i2": Int16Array,
  "|u1": Uint8Array,
  "<f2": Uint16Array,
};

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Returns {name: Uint8Array} of every file in a zip. */
export async function unzip(buffer) {
  const view = new DataView(buffer);
  let end = buffer.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== END) end--;
  if (end < 0) throw new Error("this is no recording, or a truncated one");
  const files = {};
  let at = view.getUint32(end + 16, true);
  for (let count = view.getUint16(end + 10, true); count > 0; count--) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error("the recording is damaged");
    const method = view.getUint16(at + 10, true);
    const size = view.getUint32(at + 20, true);
    const nameLength = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(new Uint8Array(buffer, at + 46, nameLength));
    const local = view.getUint32(at + 42, true);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const bytes = new Uint8Array(buffer, start, size);
    files[name] = method === 0 ? bytes : await inflate(bytes);
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return files;
}

/** Reads a .npy file: {data, shape, row}; `row` is how many numbers one frame has. */
export function parseArray(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = bytes[6] > 1;
  const start = (wide ? 12 : 10) + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const text = new TextDecoder().decode(bytes.subarray(10, start));
  const type = /'descr': '([^']+)'/.exec(text)[1];
  const shape = [.../'shape': \(([^)]*)\)/.exec(text)[1].matchAll(/\d+/g)].map(Number);
  if (!(type in TYPES) || text.includes("'fortran_order': True")) throw new Error(`unknown array of ${type}`);
  const raw = bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.byteLength);
  const numbers = new TYPES[type](raw);
  const data = type === "<f2" ? Float32Array.from(numbers, halfToFloat) : numbers;
  return { data, shape, row: shape.slice(1).reduce((a, b) => a * b, 1) };
}

function halfToFloat(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return (sign * fraction) / 2 ** 24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}
