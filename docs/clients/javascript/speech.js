/**
 * Reference client for browsers (and Node 22 or later): leases speech tokens and turns streamed audio into text.
 *
 * One module, no dependencies. `Leases` renews at the moment the service named, asks once however many callers wait,
 * and waits as long as Retry-After says. `transcribe` streams 16-bit PCM to the speech gateway over a WebSocket; when the
 * connection breaks or the token is refused it goes on with a new one from the last finished sentence, so that nothing
 * that was said is lost. Protocol: Alibaba Cloud, "Intelligent Speech Interaction: WebSocket protocol description".
 */

const SAFETY_MS = 30_000; // a lease with less life than this is not begun with
const TOKEN_REFUSED = 40000001;
const TOO_MANY = 40000005;
const AHEAD_MS = 300; // audio may run ahead of the clock by so much; the service refuses what comes too fast
const BUFFERED_BYTES = 64_000; // two seconds of 16 kHz audio that the network has not taken
const OPEN_MS = 10_000;
const ANSWER_MS = 30_000; // for the service's last words
const REPLAYED_SECONDS = 90; // kept for a new connection; the service ends a sentence after 60 s
const STALLED_MS = 10_000; // the service itself gives up after ten seconds without audio

/** What went wrong. `code` is the problem's code, the speech service's status or a word; `retryable` says what to do. */
export class SpeechError extends Error {
  constructor(code, message, { retryable = false, retryAfterMs = 0, status = 0 } = {}) {
    super(message);
    this.name = "SpeechError";
    this.code = code;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
    this.status = status;
  }
}

// The first may be set back, the second stands still in some browsers while the machine sleeps: the larger age counts.
const CLOCKS = [() => Date.now(), () => performance.now()];

/**
 * Leases of one use, renewed in time.
 *
 * @param {object} options
 * @param {string} options.url        `https://.../v1/token`
 * @param {() => object | Promise<object>} options.headers  who is asking, for example `{Authorization: "Bearer ..."}`;
 *   called for every request, because a page's own tokens expire too. Never put an API key into a page.
 * @param {object} [options.wish]     `{use, locale, sample_rate_hz}`
 * @param {number} [options.attempts] how often one lease is asked for
 */
export class Leases {
  #asking = null;
  #lease = null;

  constructor({ url, headers, wish = { use: "realtime_asr" }, attempts = 4, fetch = globalThis.fetch }) {
    this.options = { url, headers, wish, attempts, fetch: fetch.bind(globalThis) };
  }

  /** A lease that may be used now. While the old one lives, a failed renewal is no failure. */
  async get(signal) {
    const held = this.#lease;
    const age = held && Math.max(...CLOCKS.map((clock, each) => clock() - held.askedAt[each]));
    if (held && age < held.answer.refresh_in * 1000) return held.answer;
    const living = held && age < held.answer.expires_in * 1000 - SAFETY_MS;
    this.#asking ??= this.#ask(signal).finally(() => (this.#asking = null));
    try {
      return await this.#asking;
    } catch (error) {
      if (living && this.#lease === held && error.retryable) return held.answer;
      throw error;
    }
  }

  /** The speech gateway may have refused this token: ask for another lease before the next use. */
  drop(token) {
    if (this.#lease?.answer.token === token) this.#lease = null;
  }

  async #ask(signal) {
    const { attempts } = this.options;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(signal);
      } catch (error) {
        if (!error.retryable || attempt === attempts) throw error;
        await pause(error.retryAfterMs || jittered(attempt), signal);
      }
    }
  }

  async #once(signal) {
    const { url, headers, wish, fetch } = this.options;
    // Its age is told by this machine and the answer's own spans of time: the clocks of clients are often wrong.
    const askedAt = CLOCKS.map((clock) => clock());
    let response;
    try {
      response = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...(await headers()) },
        body: JSON.stringify(wish),
        cache: "no-store",
        redirect: "manual", // it would carry the API key along, to any host
        signal,
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new SpeechError("unreachable", "the lease service cannot be reached", { retryable: true });
    }
    if (!response.ok) throw await problem(response);
    const answer = await response.json();
    this.#lease = { answer, askedAt };
    return answer;
  }
}

async function problem(response) {
  let document = {};
  try {
    document = await response.json();
  } catch {
    // a proxy's answer, not the service's
  }
  const seconds = Number(response.headers.get("Retry-After") ?? document.retry_after ?? 0);
  const retryable = response.status === 429 || response.status >= 500;
  return new SpeechError(document.code ?? "http", document.title ?? `HTTP ${response.status}`, {
    // A quota that lasts until tomorrow is not waited for.
    retryable: retryable && seconds <= 60,
    retryAfterMs: seconds > 0 ? seconds * 1000 + Math.random() * 500 : 0,
    status: response.status,
  });
}

/**
 * Turn audio into text while it is spoken.
 *
 * @param {object} options
 * @param {Leases} options.leases
 * @param {AsyncIterable<ArrayBuffer | ArrayBufferView>} options.audio  16-bit little-endian mono PCM at the lease's
 *   `start_params.sample_rate`; it is read no faster than the service may be sent it. What comes faster waits in it.
 * @param {(sentence: {index, begin_ms, end_ms, text}) => void} [options.onSentence]
 * @param {(text: string) => void} [options.onPartial]
 * @param {AbortSignal} [options.signal]
 * @param {number} [options.reconnects]  connections that may be lost in a row, without a sentence between them
 * @returns {Promise<Array<{index, begin_ms, end_ms, text}>>} every sentence, times in ms from the first sample on
 */
export async function transcribe({
  leases,
  audio,
  onSentence = () => {},
  onPartial = () => {},
  signal,
  reconnects = 3,
  WebSocket = globalThis.WebSocket,
}) {
  const sentences = [];
  const source = new Replayable(audio);
  let lost = 0;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const lease = await leases.get(signal);
      source.rate = lease.start_params.sample_rate;
      const baseMs = source.rewind();
      const said = (sentence) => {
        lost = 0;
        const entry = {
          index: sentences.length + 1,
          begin_ms: baseMs + sentence.begin_time,
          end_ms: baseMs + sentence.time,
          text: sentence.result,
        };
        source.forget(entry.end_ms);
        if (entry.text) {
          sentences.push(entry);
          onSentence(entry);
        }
      };
      try {
        await new Session(lease, WebSocket, said, onPartial, signal).run(source);
        return sentences;
      } catch (error) {
        if (!error.retryable || ++lost > reconnects) throw error;
        if (error.code === TOKEN_REFUSED || error.code === "not_opened") leases.drop(lease.token);
        if (error.code !== TOKEN_REFUSED || lost > 1) await pause(jittered(lost), signal);
      }
    }
  } finally {
    await source.close();
  }
}

/** One connection and one task on it. */
class Session {
  #failed;
  #fail;
  #waiting = new Map();

  constructor(lease, WebSocket, onSentence, onPartial, signal) {
    this.lease = lease;
    this.WebSocket = WebSocket;
    this.onSentence = onSentence;
    this.onPartial = onPartial;
    this.signal = signal;
    this.taskId = id();
    this.#failed = new Promise((_, reject) => (this.#fail = reject));
    this.#failed.catch(() => {}); // whoever waits next hears of it
  }

  async run(source) {
    // Browsers cannot set headers on a WebSocket: the token goes into the query, and must not be logged with the URL.
    const socket = new this.WebSocket(`${this.lease.endpoints.websocket}?token=${encodeURIComponent(this.lease.token)}`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    const aborted = () => this.#fail(this.signal.reason);
    this.signal?.addEventListener("abort", aborted, { once: true });
    if (this.signal?.aborted) aborted();
    let opened = false;
    socket.onmessage = (event) => typeof event.data === "string" && this.#hear(event.data);
    // A refused handshake (403: the token) looks to a page like any other failure to connect.
    socket.onerror = socket.onclose = () =>
      this.#fail(new SpeechError(opened ? "closed" : "not_opened", "the connection was lost", { retryable: true }));
    try {
      await this.#within(OPEN_MS, new Promise((resolve) => (socket.onopen = resolve)));
      opened = true;
      await this.#tell("StartTranscription", "TranscriptionStarted", OPEN_MS, this.lease.start_params);
      await this.#stream(source);
      await this.#tell("StopTranscription", "TranscriptionCompleted", ANSWER_MS);
    } finally {
      this.signal?.removeEventListener("abort", aborted);
      socket.onmessage = socket.onerror = socket.onclose = null;
      socket.close(1000);
    }
  }

  async #stream(source) {
    const begun = performance.now();
    let sentMs = 0;
    for (;;) {
      const frame = await Promise.race([source.next(), this.#failed]);
      if (!frame) return;
      while (this.socket.bufferedAmount > BUFFERED_BYTES) await this.#drained();
      const ahead = sentMs - (performance.now() - begun) - AHEAD_MS;
      if (ahead > 0) await Promise.race([pause(ahead), this.#failed]);
      this.socket.send(frame);
      sentMs += (frame.byteLength / 2 / source.rate) * 1000;
    }
  }

  async #drained() {
    const until = performance.now() + STALLED_MS;
    while (this.socket.bufferedAmount > BUFFERED_BYTES / 2) {
      if (performance.now() > until) throw new SpeechError("stalled", "the network takes no audio", { retryable: true });
      await Promise.race([pause(20), this.#failed]);
    }
  }

  #hear(text) {
    const { header, payload = {} } = JSON.parse(text);
    if (header.task_id !== this.taskId) return;
    if (header.name === "TaskFailed") {
      const retryable = header.status === TOKEN_REFUSED || header.status === TOO_MANY || header.status >= 50000000;
      // `status_text` of a refused token repeats the token: it is not passed on.
      this.#fail(new SpeechError(header.status, `the speech service failed with ${header.status}`, { retryable }));
    } else if (header.name === "TranscriptionResultChanged") {
      this.onPartial(payload.result);
    } else if (header.name === "SentenceEnd") {
      this.onSentence(payload);
    }
    this.#waiting.get(header.name)?.();
  }

  async #tell(name, answer, ms, payload) {
    const answered = new Promise((resolve) => this.#waiting.set(answer, resolve));
    this.socket.send(
      JSON.stringify({
        header: {
          message_id: id(),
          task_id: this.taskId,
          namespace: "SpeechTranscriber",
          name,
          appkey: this.lease.appkey,
        },
        ...(payload && { payload }),
      }),
    );
    await this.#within(ms, answered);
  }

  async #within(ms, promise) {
    let timer;
    const late = new Promise((_, reject) => {
      const error = new SpeechError("timeout", "the speech service did not answer in time", { retryable: true });
      timer = setTimeout(() => reject(error), ms);
    });
    try {
      await Promise.race([promise, this.#failed, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The audio since the last finished sentence, kept so that it can be sent again on a new connection. */
class Replayable {
  rate = 16000;
  #iterator;
  #kept = []; // frames from #startBytes on
  #startBytes = 0;
  #at = 0; // index of the frame to be sent next
  #reading = null;

  constructor(audio) {
    this.#iterator = audio[Symbol.asyncIterator]();
  }

  /** The next frame, null at the end. A frame that was asked for and not taken is not lost. */
  async next() {
    if (this.#at === this.#kept.length) {
      this.#reading ??= this.#iterator.next();
      const { done, value } = await this.#reading;
      if (done) return null; // and stays so: #reading is kept
      this.#reading = null;
      this.#kept.push(bytesOf(value));
      this.forget(this.#endMs() - REPLAYED_SECONDS * 1000);
    }
    return this.#kept[this.#at++];
  }

  /** Begin again with what is kept; its position in ms. */
  rewind() {
    this.#at = 0;
    return Math.round((this.#startBytes / 2 / this.rate) * 1000);
  }

  /** What lies before this moment has been recognised. */
  forget(ms) {
    const bytes = (ms / 1000) * this.rate * 2;
    while (this.#at > 0 && this.#startBytes + this.#kept[0].byteLength <= bytes) {
      this.#startBytes += this.#kept.shift().byteLength;
      this.#at--;
    }
  }

  #endMs() {
    const bytes = this.#kept.reduce((sum, frame) => sum + frame.byteLength, this.#startBytes);
    return (bytes / 2 / this.rate) * 1000;
  }

  async close() {
    if (!this.#reading) await this.#iterator.return?.(); // else it is being read, or at its end
    else this.#iterator.return?.()?.catch?.(() => {});
  }
}

/**
 * A microphone as frames of 100 ms for `transcribe`. The page must be served over https and may need
 * `worker-src blob:` in its Content-Security-Policy.
 *
 * @param {MediaStream} stream    from `navigator.mediaDevices.getUserMedia({audio: true})`
 * @param {number} rate           the lease's `start_params.sample_rate`
 * @param {number} [maxSeconds]   audio that may wait here while a connection is made anew; then it ends with `overrun`
 */
export async function* microphone(stream, rate, maxSeconds = 30) {
  const context = new AudioContext({ sampleRate: rate }); // the browser resamples
  const url = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
  try {
    await context.audioWorklet.addModule(url);
    const node = new AudioWorkletNode(context, "frames", { numberOfOutputs: 0, channelCount: 1 });
    const frames = [];
    let wake = () => {};
    let ended = false;
    node.port.onmessage = ({ data }) => (frames.push(data), wake());
    for (const track of stream.getTracks()) track.addEventListener("ended", () => ((ended = true), wake()));
    context.createMediaStreamSource(stream).connect(node);
    for (;;) {
      while (frames.length === 0 && !ended) await new Promise((resolve) => (wake = resolve));
      if (frames.length === 0) return;
      if (frames.length > maxSeconds * 10) throw new SpeechError("overrun", "audio came faster than it could be sent");
      yield pcm16(frames.shift());
    }
  } finally {
    URL.revokeObjectURL(url);
    await context.close();
  }
}

const WORKLET = `registerProcessor("frames", class extends AudioWorkletProcessor {
  frame = new Float32Array(sampleRate / 10); filled = 0;
  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.frame[this.filled++] = sample;
      if (this.filled === this.frame.length) { this.port.postMessage(this.frame.slice()); this.filled = 0; }
    }
    return true;
  }
});`;

/** Samples of -1 to 1 as 16-bit little-endian PCM, clipped. */
export function pcm16(samples) {
  const view = new DataView(new ArrayBuffer(samples.length * 2));
  samples.forEach((sample, at) => {
    const clipped = Math.max(-1, Math.min(1, sample));
    view.setInt16(at * 2, Math.round(clipped < 0 ? clipped * 0x8000 : clipped * 0x7fff), true);
  });
  return new Uint8Array(view.buffer);
}

function bytesOf(value) {
  return ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value);
}

function id() {
  return crypto.randomUUID().replaceAll("-", "");
}

function jittered(attempt) {
  return Math.min(10_000, 500 * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const aborted = () => (clearTimeout(timer), reject(signal.reason));
    const timer = setTimeout(() => (signal?.removeEventListener("abort", aborted), resolve()), ms);
    signal?.addEventListener("abort", aborted, { once: true });
    if (signal?.aborted) aborted();
  });
}
