"use strict";

// The page is whole without this: it adds two buttons, and what a node of a graph has to say below the graph.

const root = document.documentElement;
const theme = document.getElementById("theme");
const folds = document.getElementById("folds");

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function nameTheme() {
  theme.textContent = isDark() ? "Light" : "Dark";
}

theme.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);

folds.addEventListener("click", () => {
  const open = folds.textContent === "Open all";
  for (const one of document.querySelectorAll("details")) one.open = open;
  folds.textContent = open ? "Close all" : "Open all";
});

for (const figure of document.querySelectorAll(".graph")) {
  const told = figure.querySelector(".told");
  const tell = (event) => {
    const node = event.target.closest(".node");
    if (node) told.textContent = node.querySelector("title").textContent.replaceAll("\n", "   ");
  };
  told.hidden = false;
  told.textContent = "Point at a node, or go to it with the Tab key.";
  figure.addEventListener("mouseover", tell);
  figure.addEventListener("focusin", tell);
}

nameTheme();
theme.parentElement.hidden = false;
