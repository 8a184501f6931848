import { type Definition, isStep } from '#graph';
import type { PlannedVertex } from '#protocol';

/** The graph as a client shows it. */
export function plannedVertices(definition: Definition): PlannedVertex[] {
  return [...definition.vertices.values()].map((vertex) => ({
    vertex: vertex.digest,
    name: vertex.label.name,
    stage: vertex.label.stage,
    line: vertex.label.line,
    step: isStep(vertex) && vertex.label.aside !== true,
    inputs: vertex.inputs.map((edge) => edge.vertex),
  }));
}
