// SHA-256 (FIPS 180-4). Browsers offer theirs only on this machine and over HTTPS.

const PRIMES = [];
for (let n = 2; PRIMES.length < 64; n += 1) if (PRIMES.every((prime) => n % prime)) PRIMES.push(n);
const fraction = (root) => ((root - Math.floor(root)) * 2 ** 32) | 0;
const K = Int32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)));
const START = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));

/** Return the digest of an ArrayBuffer in hexadecimal. */
export async function sha256(buffer) {
  if (globalThis.crypto?.subtle) return hex(await crypto.subtle.digest("SHA-256", buffer));
  return hex(digestOf(new Uint8Array(buffer)));
}

export function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Return the digest as an ArrayBuffer, computed here. */
export function digestOf(bytes) {
  const state = Int32Array.from(START);
  const whole = bytes.length - (bytes.length % 64);
  const rest = bytes.length - whole;
  const tail = new Uint8Array(rest < 56 ? 64 : 128);
  tail.set(bytes.subarray(whole));
  tail[rest] = 0x80;
  new DataView(tail.buffer).setBigUint64(tail.length - 8, BigInt(bytes.length) * 8n);
  mixAll(state, bytes.subarray(0, whole));
  mixAll(state, tail);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => digest.setInt32(index * 4, word));
  return digest.buffer;
}

const W = new Int32Array(64);
const turn = (word, by) => (word >>> by) | (word << (32 - by));

function mixAll(state, { buffer, byteOffset, length }) {
  const view = new DataView(buffer, byteOffset, length);
  for (let place = 0; place < length; place += 64) mix(state, view, place);
}

function mix(state, view, place) {
  for (let t = 0; t < 16; t += 1) W[t] = view.getInt32(place + t * 4);
  for (let t = 16; t < 64; t += 1) {
    const s0 = turn(W[t - 15], 7) ^ turn(W[t - 15], 18) ^ (W[t - 15] >>> 3);
    const s1 = turn(W[t - 2], 17) ^ turn(W[t - 2], 19) ^ (W[t - 2] >>> 10);
    W[t] = (W[t - 16] + s0 + W[t - 7] + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let t = 0; t < 64; t += 1) {
    const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[t] + W[t]) | 0;
    const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, index) => (state[index] = (state[index] + word) | 0));
}
