// Asks the model of this directory in a browser, with onnxruntime-web as `ort`. It answers by
// greedy decoding. `Model` is what a page of yours would use:
//
//   const model = await Model.load(".");
//   await model.answer("emoji_caption", "de", { image: file });

const SPACE = "\u2581"; // as SentencePiece writes it

export class Model {
  static async load(folder, options = {}) {
    const about = await (await fetch(`${folder}/export.json`)).json();
    const weights = new Uint8Array(await (await fetch(`${folder}/weights.data`)).arrayBuffer());
    const sessions = [];
    for (const graph of about.graphs) {
      const externalData = [{ path: "weights.data", data: weights }];
      const made = { executionProviders: ["wasm"], ...options, externalData };
      sessions.push(await ort.InferenceSession.create(`${folder}/${graph.file}`, made));
    }
    return new Model(about, sessions, await Text.load(about.text, folder));
  }

  constructor(about, [encoder, first, next], text) {
    Object.assign(this, { about, encoder, first, next, text });
  }

  // The ids of an answer, its text, and its shapes in pixels of the image. An image is a Blob.
  async answer(task, language, fields) {
    const { max_tokens: most, source } = this.about.tasks[task];
    const { ids, images } = await this.source(source[language], fields);
    const written = await this.write(ids, images, most);
    const size = images.length ? images[0].from : [1, 1];
    return { ids: written, text: this.decode(written), shapes: this.shapes(written, size) };
  }

  async source(parts, fields) {
    const ids = [];
    const images = [];
    let text = "";
    for (const part of [...parts, { id: this.about.special_ids.end }]) {
      if (part.text !== undefined || part.kind === "text") {
        text += part.text ?? fields[part.field];
        continue;
      }
      if (text.trim()) ids.push(...this.text.encode(text.trim()));
      text = "";
      if (part.id !== undefined) {
        ids.push(part.id);
      } else {
        images.push(await readImage(fields[part.field], this.about.image));
        for (let i = 0; i < this.about.image.places; i++) ids.push(this.about.image.id);
      }
    }
    const limit = this.about.limits.source;
    if (ids.length > limit) throw new Error(`the source has ${ids.length} ids, more than ${limit}`);
    return { ids, images };
  }

  async write(ids, images, most) {
    const mask = longs(ids.map(() => 1));
    const read = { input_ids: longs(ids), attention_mask: mask };
    if (this.about.image) {
      const [height, width] = this.about.image.size;
      const count = Math.max(images.length, 1); // none sends one that is not looked at
      const pixels = new Uint8Array(count * 3 * height * width);
      images.forEach((image, number) => pixels.set(image.pixels, number * 3 * height * width));
      read.pixel_values = new ort.Tensor("uint8", pixels, [count, 3, height, width]);
    }
    const hidden = (await this.encoder.run(read)).last_hidden_state;
    const { start, end } = this.about.special_ids;
    const step = { encoder_attention_mask: mask };
    const given = { ...step, input_ids: longs([start]), encoder_hidden_states: hidden };
    let found = await this.first.run(given);
    const cache = {};
    const written = [];
    while (written.length < most) {
      const token = likeliest(found.logits);
      if (token === end) break;
      written.push(token);
      for (const [name, value] of Object.entries(found)) {
        if (name !== "logits") cache[name.replace("present", "past_key_values")] = value;
      }
      found = await this.next.run({ ...step, ...cache, input_ids: longs([token]) });
    }
    return written;
  }

  decode(ids) {
    const tags = new Set(Object.values(this.about.tags));
    const runs = [[]];
    for (const id of ids) {
      const place = this.within("locations", id) || this.within("image_codes", id);
      if (tags.has(id) || place || id >= this.about.text.count) runs.push([]);
      else if (id !== this.about.special_ids.pad) runs.at(-1).push(id);
    }
    return runs.filter((run) => run.length).map((run) => this.text.decode(run).trim())
      .filter((text) => text).join(" ");
  }

  // Runs of locations as x y x y ... in pixels of an image of [width, height].
  shapes(ids, size) {
    const found = [];
    let inside = false;
    for (const id of ids) {
      const place = this.within("locations", id);
      if (place) {
        if (!inside) found.push([]);
        const axis = found.at(-1).length % 2;
        const { first, count } = this.about.locations;
        const fraction = (id - first + 0.5) / count; // the middle of a bin
        found.at(-1).push(this.inImage(fraction, axis, size) * size[axis]);
      }
      inside = place;
    }
    return found;
  }

  within(name, id) {
    const about = this.about[name];
    return about !== null && id >= about.first && id < about.first + about.count;
  }

  inImage(fraction, axis, size) {
    const about = this.about.image;
    if (!about || about.fit !== "pad") return fraction;
    const box = contentBox(size, about);
    const found = (fraction * about.size[1 - axis] - box[axis]) / box[2 + axis];
    return Math.min(Math.max(found, 0), 1);
  }
}

function longs(ids) {
  return new ort.Tensor("int64", BigInt64Array.from(ids.map(BigInt)), [1, ids.length]);
}

function likeliest(logits) {
  const size = logits.dims[2];
  const last = logits.data.subarray(logits.data.length - size);
  let best = 0;
  for (let i = 1; i < size; i++) if (last[i] > last[best]) best = i;
  return best;
}

// Text to ids and back: bytes, or the unigram models of SentencePiece. Models with rules of their
// own for characters (T5, mT5) get Unicode NFKC here, which is nearly the same.
export class Text {
  static async load(about, folder) {
    if (about.kind === "bytes") return new Text(about, null);
    if (about.kind !== "sentencepiece") throw new Error(`this page does not read ${about.file}`);
    return new Text(about, await (await fetch(`${folder}/${about.pieces}`)).json());
  }

  constructor(about, model) {
    this.about = about;
    this.model = model;
    if (!model) return;
    if (!model.unigram) throw new Error("this page reads unigram models of SentencePiece alone");
    const controls = new Set(model.controls);
    const bytes = new Set(Object.values(model.bytes));
    const named = new Set(model.user_defined);
    this.ids = new Map();
    this.longest = 1;
    this.lowest = Infinity;
    this.highest = -Infinity;
    model.pieces.forEach((piece, id) => {
      if (controls.has(id) || bytes.has(id)) return;
      this.ids.set(piece, id);
      this.longest = Math.max(this.longest, [...piece].length);
      if (named.has(id)) return;
      this.lowest = Math.min(this.lowest, model.scores[id]);
      this.highest = Math.max(this.highest, model.scores[id]);
    });
    this.named = named;
    this.byId = new Map(Object.entries(model.bytes).map(([byte, id]) => [id, Number(byte)]));
  }

  encode(text) {
    const utf8 = new TextEncoder();
    if (!this.model) return [...utf8.encode(text)].map((byte) => this.about.first_byte_id + byte);
    text = text.normalize(this.model.has_rules ? "NFKC" : this.about.normalize);
    if (this.model.removes_spaces) text = text.trim().replace(/ {2,}/g, " ");
    const letters = [...(SPACE + text.replaceAll(" ", SPACE))];
    const ids = [];
    for (const [piece, id] of this.best(letters)) {
      const spelled = id === undefined ? [...utf8.encode(piece)] : [];
      if (id !== undefined) ids.push(id);
      else if (this.byId.size) ids.push(...spelled.map((byte) => this.model.bytes[byte]));
      else if (ids.at(-1) !== this.model.unknown) ids.push(this.model.unknown);
    }
    return ids;
  }

  // The likeliest way through a text (Viterbi), in float32 as SentencePiece counts.
  best(letters) {
    const score = new Float32Array(letters.length + 1).fill(-Infinity);
    const from = new Array(letters.length + 1);
    score[0] = 0;
    for (let start = 0; start < letters.length; start++) {
      let piece = "";
      let single = false;
      const most = Math.min(letters.length, start + this.longest);
      for (let end = start + 1; end <= most; end++) {
        piece += letters[end - 1];
        const id = this.ids.get(piece);
        if (id === undefined) continue;
        if (end === start + 1) single = true;
        const length = new TextEncoder().encode(piece).length;
        const own = this.named.has(id) ? length * this.highest - 0.1 : this.model.scores[id];
        const found = Math.fround(score[start] + Math.fround(own));
        if (from[end] === undefined || found > score[end]) {
          score[end] = found;
          from[end] = [start, piece, id];
        }
      }
      if (!single) {
        const found = Math.fround(score[start] + Math.fround(this.lowest - 10));
        if (from[start + 1] === undefined || found > score[start + 1]) {
          score[start + 1] = found;
          from[start + 1] = [start, letters[start], undefined];
        }
      }
    }
    const way = [];
    for (let end = letters.length; end > 0; end = from[end][0]) way.unshift(from[end].slice(1));
    return way;
  }

  decode(ids) {
    const bytes = [];
    const utf8 = new TextEncoder();
    const controls = new Set(this.model ? this.model.controls : []);
    for (const id of ids) {
      if (!this.model) bytes.push(id - this.about.first_byte_id);
      else if (this.byId.has(id)) bytes.push(this.byId.get(id));
      else if (id === this.model.unknown) bytes.push(...utf8.encode(" \u2047 "));
      else if (!controls.has(id)) {
        bytes.push(...utf8.encode(this.model.pieces[id].replaceAll(SPACE, " ")));
      }
    }
    return new TextDecoder().decode(new Uint8Array(bytes.filter((byte) => byte >= 0)));
  }
}

function contentBox([wide, high], about) {
  const [height, width] = about.size;
  if (about.fit !== "pad") return [0, 0, width, height];
  const scale = Math.min(width / wide, height / high);
  const across = Math.min(width, Math.max(1, halfToEven(wide * scale)));
  const down = Math.min(height, Math.max(1, halfToEven(high * scale)));
  return [Math.floor((width - across) / 2), Math.floor((height - down) / 2), across, down];
}

function halfToEven(value) {
  const near = Math.round(value);
  return Math.abs(value % 1) === 0.5 && near % 2 ? near - 1 : near;
}

// Planes of red, green and blue at the size that the network reads, and the image's own size.
export async function readImage(blob, about) {
  const image = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const from = [image.width, image.height];
  const canvas = new OffscreenCanvas(...from);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, ...from);
  context.drawImage(image, 0, 0);
  const own = context.getImageData(0, 0, ...from).data;
  const [height, width] = about.size;
  const [left, top, across, down] = contentBox(from, about);
  const pixels = new Uint8Array(3 * height * width);
  for (let channel = 0; channel < 3; channel++) {
    let plane = new Uint8Array(from[0] * from[1]);
    for (let i = 0; i < plane.length; i++) plane[i] = own[4 * i + channel];
    if (from[0] !== across) plane = resizeRows(plane, from[0], from[1], across);
    if (from[1] !== down) {
      const turned = resizeRows(transposed(plane, across, from[1]), from[1], across, down);
      plane = transposed(turned, down, across);
    }
    const to = pixels.subarray(channel * height * width, (channel + 1) * height * width);
    to.fill(about.padding[channel]);
    for (let y = 0; y < down; y++) {
      to.set(plane.subarray(y * across, (y + 1) * across), (top + y) * width + left);
    }
  }
  return { pixels, from };
}

function transposed(plane, width, height) {
  const found = new Uint8Array(plane.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) found[x * height + y] = plane[y * width + x];
  }
  return found;
}

function cubic(x) {
  const a = -0.5;
  x = Math.abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// Rows at another width, as Pillow resizes 8-bit images: antialiased, in fixed point.
function resizeRows(plane, width, height, across) {
  const bits = 22;
  const scale = width / across;
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  const found = new Uint8Array(across * height);
  for (let x = 0; x < across; x++) {
    const center = (x + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const behind = Math.min(Math.trunc(center + support + 0.5), width);
    const weights = [];
    for (let i = first; i < behind; i++) weights.push(cubic((i - center + 0.5) / stretch));
    const sum = weights.reduce((one, other) => one + other, 0);
    const fixed = weights.map((weight) => {
      const scaled = (weight / sum) * (1 << bits);
      return Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5));
    });
    for (let y = 0; y < height; y++) {
      let value = 1 << (bits - 1);
      for (let i = 0; i < fixed.length; i++) value += plane[y * width + first + i] * fixed[i];
      found[y * across + x] = Math.min(Math.max(value >> bits, 0), 255);
    }
  }
  return found;
}
