// The page's side of grade_api: as the label card's, with the mode of grading in every request.

import { Api } from "/assets/label/api.js";

export class GradeApi extends Api {
  constructor(slug, person) {
    super(slug, person);
    this.base = new URL(`/api/projects/${encodeURIComponent(slug)}/grade/`, location.href);
    this.mode = { kind: "grade", criterion: null };
  }

  post(path, body) {
    return super.post(path, path === "criteria" ? body : { ...body, mode: this.mode });
  }
}
