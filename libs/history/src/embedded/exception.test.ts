import { describe, expect, it } from 'vitest';
import { EngineException, httpStatus, toException } from './exception.js';

describe('an exception of the engine', () => {
  it('is read with its code, name and sentence', () => {
    const exception = toException(new Error('Code: 60. DB::Exception: Table a.b does not exist. (UNKNOWN_TABLE)'));
    expect(exception).toMatchObject({ code: 60, label: 'UNKNOWN_TABLE', message: 'Table a.b does not exist.' });
    expect(exception.toText('26.7.2.1')).toBe(
      'Code: 60. DB::Exception: Table a.b does not exist. (UNKNOWN_TABLE) (version 26.7.2.1)',
    );
  });

  it('is unwrapped when it stands in itself', () => {
    const text =
      'Code: 504. DB::Exception: Code: 504. DB::Exception: File x exists. (FILE_ALREADY_EXISTS) (version 26.7.2.1). (FILE_ALREADY_EXISTS)';
    expect(toException(new Error(text))).toMatchObject({
      code: 504,
      label: 'FILE_ALREADY_EXISTS',
      message: 'File x exists.',
    });
  });

  it('keeps several lines and brackets of its sentence', () => {
    const text =
      'Code: 27. DB::Exception: Cannot parse (at row 1)\n: expected "," (really). (CANNOT_PARSE_INPUT_ASSERTION_FAILED)';
    expect(toException(new Error(text)).message).toBe('Cannot parse (at row 1)\n: expected "," (really).');
  });

  it('is made of any other error, too', () => {
    expect(toException(new Error('out of luck'))).toMatchObject({ code: 1002, message: 'out of luck' });
    expect(toException('text')).toMatchObject({ code: 1002, message: 'text' });
    const own = new EngineException(62, 'SYNTAX_ERROR', 'x');
    expect(toException(own)).toBe(own);
  });

  it('has the HTTP status of the server', () => {
    const expected = {
      62: 400,
      27: 400,
      194: 401,
      516: 403,
      497: 403,
      60: 404,
      115: 404,
      159: 408,
      229: 413,
      48: 501,
      209: 503,
    };
    for (const [code, status] of Object.entries(expected))
      expect([code, httpStatus(Number(code))]).toEqual([code, status]);
    expect(httpStatus(241)).toBe(500);
    expect(httpStatus(202)).toBe(503);
  });
});
