import { type Infer, integer, object, required } from '../schema.ts';
import { kubernetesLabelSelector } from './common.ts';
import { podTemplate } from './pod.ts';

export const deployment = object(
  { replicas: integer(), selector: required(kubernetesLabelSelector), template: required(podTemplate) },
  { open: true },
);
export type Deployment = Infer<typeof deployment>;
