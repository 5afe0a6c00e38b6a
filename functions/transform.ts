import { passThrough, type Transform } from './import/transform.ts';

const transform: Transform = passThrough;
export default transform;
