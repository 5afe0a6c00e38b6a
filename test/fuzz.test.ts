import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertResumable, comparable, parse, edit, edits, eventText, jsonText } from '/work/main/test/support/parsing.ts';
const show=(f)=>{const c=readFileSync(f);const p=parse(c);console.log(f.split('/').pop(),p.records.length,p.rejections.map(r=>[r.location.line,r.location.offset,r.reason.message,r.record.toString()]));assertResumable(c,{blockBytes:1,cuts:[...Array(c.length).keys()]});};
test('inputs',()=>{for(const f of ['01-concatenated.json','01c-pretty.json','01d-single-pretty.json','03-bom-middle.ndjson','38-composed-bom-crlf.ndjson','05-array-per-line.ndjson','06-arrays-concat.json','18b-lines-commas-no-brackets.json','34-first-line-bracket.ndjson','39-array-nan.json','39b-array-nan-lines.json','55-message-array-one-NaN.json','56-message-two-pretty.json']) show('/work/shared/inputs/'+f);});
const good='{"event":"a","properties":{"time":1}}';
const piece=fc.constantFrom(good,good,'{"event":"a",\n "properties":{}\n}','  {"event":"b","properties":{"x":[1,{"y":2}]}}','{"a":','{"a":[','[','[',']','}','{"a":"x','"',',','5','NaN','null','x y','\ufeff','\x1e','{"a":NaN}','{"a":\n','{}','[]','[[1]]','\\','é','{"event":"é","properties":{"😀":"€"}}');
const sep=fc.constantFrom('\n','\n','\n','',' ',',',',\n','\r\n','\n  ','\t','\n\n');
const content=fc.array(fc.tuple(piece,sep),{maxLength:14}).map(p=>Buffer.from(p.flat().join('')));
const cuts=fc.array(fc.nat(400),{maxLength:12}).map(p=>p.sort((a,b)=>a-b));
test('splits',()=>{fc.assert(fc.property(content,cuts,fc.oneof(fc.constant(1),fc.integer({min:1,max:200})),fc.constantFrom(undefined,undefined,'corrupt'),(bytes,cuts,blockBytes,breakOff)=>{
 const whole=parse(bytes,{breakOff}); const split=parse(bytes,{cuts,blockBytes,breakOff});
 assert.deepEqual(comparable(split),comparable(whole));
 }),{numRuns:20000});});
test('resume',()=>{fc.assert(fc.property(content,cuts,fc.oneof(fc.constant(1),fc.integer({min:1,max:200})),(bytes,cuts,blockBytes)=>{
 assertResumable(bytes,{cuts,blockBytes});
 }),{numRuns:4000});});
test('scan',()=>{let worst=0,w;fc.assert(fc.property(content,cuts,fc.oneof(fc.constant(1),fc.integer({min:1,max:200})),(bytes,cuts,blockBytes)=>{
 const {bytesScanned}=parse(bytes,{cuts,blockBytes}); const r=bytesScanned/(bytes.length+1); if(r>worst){worst=r;w=bytes.toString()}
 }),{numRuns:20000}); console.log('worst',worst,JSON.stringify(w))});
const line=fc.constantFrom(good,good,good,'{"a":','{"a":[','[','{"a":"x','x"y','{"a":NaN}','{"a":{"b":NaN}','5','[1,','{','{{{','[[[','{"event":"a","properties":{"x":1},','  {"a":1,',',','{"a":1,"b":[{"c":1},','[{"a":1},','  [','{"a":[1,2,{"b":');
test('guarantee lines',()=>{let n=0;fc.assert(fc.property(fc.array(line,{maxLength:16}),cuts,fc.integer({min:1,max:200}),(lines,cuts,blockBytes)=>{
 const bytes=Buffer.from(lines.join('\n')); const {records}=parse(bytes,{cuts,blockBytes}); let at=0; const found=new Set(records.map(r=>r.offset));
 for(const l of lines){ if(l===good){assert.ok(found.has(at),'line at '+at+' of '+JSON.stringify(bytes.toString()));n++} at+=l.length+1;}
 }),{numRuns:30000});console.log(n)});
test('guarantee rubbish',()=>{fc.assert(fc.property(fc.array(fc.oneof(fc.constant(good),fc.constant('{\n"event":"p",\n "properties": {}\n}'),fc.string().map(s=>s.replace(/["{}\[\]]/g,''))),{maxLength:16}),cuts,fc.integer({min:1,max:200}),(parts,cuts,blockBytes)=>{
 const bytes=Buffer.from(parts.join('')); const {records}=parse(bytes,{cuts,blockBytes}); 
 assert.equal(records.length,parts.filter(p=>p.startsWith('{')).length);
 }),{numRuns:20000});});
