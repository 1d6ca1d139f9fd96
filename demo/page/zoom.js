// One image, large, until it is pressed.

const zoom = document.querySelector("#zoom");
zoom.addEventListener("click", () => zoom.close());

export function show(src, alt, words = "") {
  Object.assign(zoom.querySelector("img"), { src, alt });
  zoom.querySelector("p").textContent = words;
  zoom.showModal();
}
