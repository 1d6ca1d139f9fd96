// The field to write in: text, an image by file, paste or drop, made small enough where it is not.

const most = 1 << 20; // bytes, as the nodes say
const widest = 1920; // pixels of an image that had to be made smaller

export class Compose {
  #form = document.querySelector("#say");
  #text = document.querySelector("#text");
  #file = document.querySelector("#file");
  #attached = document.querySelector("#attached");
  #image = null;
  #typed = 0;

  constructor(chat, tell) {
    this.chat = chat;
    this.tell = tell;
    this.#form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.#send();
    });
    this.#text.addEventListener("keydown", (e) => {
      if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
      e.preventDefault();
      this.#send();
    });
    this.#text.addEventListener("input", () => this.#grow());
    this.#file.addEventListener("change", () => this.#attach(this.#file.files[0]));
    this.#attached.querySelector("button").addEventListener("click", () => this.#detach());
    document.addEventListener("paste", (e) => this.#attach([...e.clipboardData.files][0]));
    document.addEventListener("dragover", (e) => e.preventDefault());
    document.addEventListener("drop", (e) => {
      e.preventDefault();
      this.#attach([...e.dataTransfer.files][0]);
    });
  }

  focus() {
    if (!matchMedia("(pointer: coarse)").matches) this.#text.focus();
  }

  #grow() {
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight + 2}px`;
    if (this.#text.value && Date.now() - this.#typed > 2000) {
      this.#typed = Date.now();
      this.chat.typing();
    }
  }

  #send() {
    const text = this.#text.value.trim();
    if (!text && !this.#image) return;
    this.chat.say(text, this.#image?.bytes ?? null);
    this.#detach();
    this.#text.value = "";
    this.#typed = 0;
    this.#grow();
  }

  async #attach(file) {
    this.#file.value = "";
    if (!file) return;
    const blob = await fit(file).catch(() => null);
    if (!blob) {
      this.tell("That is not an image that can be sent.");
      return;
    }
    const bytes = await blob.arrayBuffer();
    this.#image = { bytes, url: URL.createObjectURL(blob) };
    this.#attached.hidden = false;
    this.#attached.querySelector("img").src = this.#image.url;
    this.#attached.querySelector("span").textContent = `${file.name || "Image"}, ${Math.ceil(blob.size / 1024)} kB`;
    this.#text.focus();
  }

  #detach() {
    if (this.#image) URL.revokeObjectURL(this.#image.url);
    this.#image = null;
    this.#attached.hidden = true;
    this.#attached.querySelector("img").removeAttribute("src");
  }
}

/** fit returns the image as it is where it is small enough, else drawn smaller. */
async function fit(file) {
  const picture = await createImageBitmap(file); // rejects what is no image
  if (file.size <= most && /^image\/(png|jpeg|gif|webp)$/.test(file.type)) return file;
  for (let scale = Math.min(1, widest / Math.max(picture.width, picture.height)); scale > 0.02; scale *= 0.7) {
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
    if (blob && blob.size <= most) return blob;
  }
  return null;
}
