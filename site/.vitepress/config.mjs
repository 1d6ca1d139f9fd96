// The site is made of docs/ as it stands; nothing here holds a text of its own but the order of the pages.
import { copyFile, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitepress";

const repository = "https://github.com/sidway/sidway";

// Anchors are GitHub's, so that a link works there and here.
const slugify = (text) => text.toLowerCase().trim().replace(/[^\w\- ]/g, "").replaceAll(" ", "-");

// The page that a stranger sees first. VitePress follows its rewrites in addresses and not in links.
const front = "how-it-works.md";

// Links that leave docs/ lead to the repository.
const outside = (md) => {
  const render = md.renderer.rules.link_open ?? ((tokens, i, options, env, self) => self.renderToken(tokens, i, options));
  md.core.ruler.push("outside", (state) => {
    for (const block of state.tokens) {
      for (const token of block.children ?? []) {
        const href = token.type === "link_open" && token.attrGet("href");
        if (href && href.startsWith(front)) token.attrSet("href", href.replace(front, "index.md"));
        if (href && href.startsWith("../")) token.attrSet("href", `${repository}/blob/main/${href.slice(3)}`);
      }
    }
  });
  md.renderer.rules.link_open = render;
};

// dead returns the links from page to page that lead to no page or to no heading.
async function dead(outDir) {
  const pages = new Map();
  for (const name of await readdir(outDir)) {
    if (name.endsWith(".html")) pages.set(name, await readFile(join(outDir, name), "utf8"));
  }
  const found = [];
  for (const [name, html] of pages) {
    for (const [, href] of html.matchAll(/<a [^>]*?href="([^"]+)"/g)) {
      const { origin, pathname, hash } = new URL(href, `http://site/${name}`);
      const to = pages.get(pathname.slice(1) || "index.html");
      if (origin === "http://site" && !(to && (hash === "" || to.includes(`id="${decodeURIComponent(hash.slice(1))}"`)))) found.push(`${name}: ${href}`);
    }
  }
  return found;
}

const page = (name, text) => ({ text, link: `/${name}` });

export default defineConfig({
  srcDir: "../docs",
  outDir: "dist",
  title: "sidway",
  description: "Sticky sessions for Socket.IO clusters, by the sid and without cookies.",
  lang: "en",
  rewrites: { [front]: "index.md" },
  markdown: { anchor: { slugify }, toc: { slugify }, headers: { slugify }, config: outside },
  ignoreDeadLinks: "localhostLinks",
  // The pages lie outside of this folder, so they would not find vue by themselves.
  vite: { publicDir: false, resolve: { alias: { vue: fileURLToPath(new URL("../node_modules/vue", import.meta.url)) } } },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    socialLinks: [{ icon: "github", link: repository }],
    sidebar: [
      { text: "Begin", items: [
        { text: "How it works", link: "/" }, page("quickstart", "Quick start"), page("install", "Install"), page("docker", "Docker"), page("systemd", "systemd"),
        page("kubernetes", "Kubernetes"), page("migration", "Migration"), page("faq", "FAQ"), page("demo", "The demo"),
      ] },
      { text: "Run", items: [
        page("behind", "Behind a balancer"), page("nodes", "Nodes"), page("updates", "Rolling updates"), page("moving", "Moving sessions"), page("redis", "Redis"),
        page("certificates", "Certificates"), page("auth", "Auth"), page("security", "Security"), page("capacity", "Capacity"), page("scaling", "Scaling"),
      ] },
      { text: "Watch", items: [
        page("operating", "Operating"), page("troubleshooting", "Troubleshooting"), page("failures", "Failures"), page("metrics", "Metrics"), page("logs", "Logs"), page("tracing", "Tracing"),
      ] },
      { text: "Look up", items: [
        page("configuration", "Configuration"), page("api", "API"), page("compatibility", "Compatibility"), page("adapter", "Go adapter"), page("architecture", "Architecture"),
        page("performance", "Performance"), page("faults", "Faults"), page("releasing", "Releasing"),
      ] },
    ],
  },
  // Each page can be read as Markdown too, at its own address with .md.
  async buildEnd({ srcDir, outDir }) {
    await mkdir(outDir, { recursive: true });
    for (const name of await readdir(srcDir)) {
      if (name.endsWith(".md")) await copyFile(join(srcDir, name), join(outDir, name));
    }
    const links = await dead(outDir);
    if (links.length > 0) throw new Error(`dead links:\n${links.join("\n")}`);
  },
});
