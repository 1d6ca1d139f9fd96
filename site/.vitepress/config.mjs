// The site is made of README.md and docs/ as they stand; nothing here holds a text of its own but the order of the pages.
import { copyFile, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitepress";

const repository = "https://github.com/sidway/sidway";
const root = fileURLToPath(new URL("../..", import.meta.url));

// Anchors are GitHub's, so that a link works there and here.
const slugify = (text) => text.toLowerCase().trim().replace(/[^\w\- ]/g, "").replaceAll(" ", "-");

// lead returns where a link leads on the site, where README.md is the first page and each page of docs/ is beside it.
// Links to any other file lead to the repository.
function lead(href, first) {
  if (/^([a-z]+:|#)/.test(href)) return href;
  const path = new URL(href, first ? "file:///" : "file:///docs/").href.slice("file:///".length);
  if (/^README\.md(#|$)/.test(path)) return path.replace("README.md", "index.md");
  return /^docs\/[^/]+$/.test(path) ? path.slice("docs/".length) : `${repository}/blob/main/${path}`;
}

// markdown makes GitHub's Markdown pages of the site.
function markdown(md) {
  md.core.ruler.disable("emoji"); // it sees one in redis://:password@host
  md.core.ruler.push("sidway", ({ tokens, env }) => {
    for (const token of tokens.flatMap((block) => block.children ?? [])) {
      const href = token.type === "link_open" && token.attrGet("href");
      if (href) token.attrSet("href", lead(href, env.relativePath === "index.md"));
    }
    // A page with a wide table has the outline's room for it.
    const columns = tokens.map((token, i) => (token.type === "thead_open" ? tokens.slice(i).findIndex((t) => t.type === "thead_close") / 3 : 0));
    if (Math.max(...columns) > 8) Object.assign(env.frontmatter, { aside: false, pageClass: "wide" });
  });
  // Indented blocks look like fenced ones.
  md.renderer.rules.code_block = (tokens, i, ...rest) => md.renderer.rules.fence(tokens, i, ...rest);
}

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
  srcDir: root,
  srcExclude: ["*/*/**", "!(docs)/*", "!(README).md"],
  outDir: "dist",
  title: "sidway",
  description: "Sticky sessions for Socket.IO clusters, by the sid and without cookies.",
  lang: "en",
  head: [["link", { rel: "icon", href: "/icon.svg" }]],
  rewrites: { "README.md": "index.md", "docs/:page": ":page" },
  markdown: {
    anchor: { slugify }, toc: { slugify }, headers: { slugify }, config: markdown,
    languageAlias: { haproxy: "sh", redis: "sh" }, // for their comments
  },
  ignoreDeadLinks: "localhostLinks",
  // The pages lie outside of this folder, so they would not find vue by themselves.
  vite: { publicDir: false, resolve: { alias: { vue: fileURLToPath(new URL("../node_modules/vue", import.meta.url)) } } },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    socialLinks: [{ icon: "github", link: repository }],
    sidebar: [
      { text: "Begin", items: [
        { text: "What it is", link: "/" }, page("how-it-works", "How it works"), page("quickstart", "Quick start"), page("install", "Install"), page("docker", "Docker"), page("systemd", "systemd"),
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
  async buildEnd({ pages, outDir, rewrites }) {
    await mkdir(outDir, { recursive: true });
    for (const page of pages) await copyFile(join(root, page), join(outDir, rewrites.map[page]));
    await copyFile(join(root, "demo/page/icon.svg"), join(outDir, "icon.svg"));
    const links = await dead(outDir);
    if (links.length > 0) throw new Error(`dead links:\n${links.join("\n")}`);
  },
});
