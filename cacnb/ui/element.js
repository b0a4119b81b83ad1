// An element of the page from its tag, its classes and its text; text is never read as HTML.

export const element = (tag, classes = "", text = "") => {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  if (text) made.textContent = text;
  return made;
};
