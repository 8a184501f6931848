/** placeholder until the nodes are in */
export interface Instruction {
  readonly kind: string;
}
export interface Stage {
  readonly name: string | undefined;
}
export interface Dockerfile {
  readonly stages: readonly Stage[];
}
