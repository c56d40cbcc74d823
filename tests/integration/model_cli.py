#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sctd model import, list, show, verify, from outside.  usage: model_cli.py /path/to/sctd [unittest options]"""
import fcntl
import hashlib
import json
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

SCTD = None
GOLDENS = pathlib.Path(__file__).resolve().parents[2].parent / 'shared' / 'goldens'
DIM, DEPTH, HIDDEN, BASE = 16, 12, 24, 4


def write_safetensors(path, tensors):
    """tensors: {name: (dtype, shape, bytes)}"""
    header, body = {}, b''
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    path.write_bytes(struct.pack('<Q', len(text)) + text + body)


def f32(shape, values=None):
    count = 1
    for n in shape:
        count *= n
    if values is None:
        values = [RANDOM.uniform(0.1, 1.0) for _ in range(count)]
    return ('F32', list(shape), struct.pack(f'<{count}f', *values))


RANDOM = random.Random(7)


def meta_backbone():
    t = {
        'cls_token': f32([1, 1, DIM]), 'storage_tokens': f32([1, 4, DIM]), 'mask_token': f32([1, DIM]),
        'patch_embed.proj.weight': f32([DIM, 3, 16, 16]), 'patch_embed.proj.bias': f32([DIM]),
        'rope_embed.periods': f32([4], [1.0, 3.15625, 10.0, 31.625]),
    }
    for n in range(DEPTH):
        b = f'blocks.{n}.'
        for norm in ('norm1', 'norm2'):
            t[b + norm + '.weight'] = f32([DIM])
            t[b + norm + '.bias'] = f32([DIM])
        t[b + 'attn.qkv.weight'] = f32([3 * DIM, DIM])
        t[b + 'attn.qkv.bias'] = f32([3 * DIM])
        t[b + 'attn.qkv.bias_mask'] = f32([3 * DIM], [1.0] * DIM + [0.0] * DIM + [1.0] * DIM)
        t[b + 'attn.proj.weight'] = f32([DIM, DIM])
        t[b + 'attn.proj.bias'] = f32([DIM])
        t[b + 'ls1.gamma'] = f32([DIM])
        t[b + 'ls2.gamma'] = f32([DIM])
        t[b + 'mlp.fc1.weight'] = f32([HIDDEN, DIM])
        t[b + 'mlp.fc1.bias'] = f32([HIDDEN])
        t[b + 'mlp.fc2.weight'] = f32([DIM, HIDDEN])
        t[b + 'mlp.fc2.bias'] = f32([DIM])
    t['norm.weight'] = f32([DIM])
    t['norm.bias'] = f32([DIM])
    return t


def hugging_face(meta):
    """The same weights as transformers' converter names them."""
    stem = {'cls_token': 'embeddings.cls_token', 'storage_tokens': 'embeddings.register_tokens',
            'patch_embed.proj.weight': 'embeddings.patch_embeddings.weight',
            'patch_embed.proj.bias': 'embeddings.patch_embeddings.bias',
            'norm.weight': 'norm.weight', 'norm.bias': 'norm.bias'}
    inner = {'attn.proj': 'attention.o_proj', 'ls1.gamma': 'layer_scale1.lambda1',
             'ls2.gamma': 'layer_scale2.lambda1', 'mlp.fc1': 'mlp.up_proj', 'mlp.fc2': 'mlp.down_proj',
             'norm1': 'norm1', 'norm2': 'norm2'}
    out = {}
    for name, (dtype, shape, data) in meta.items():
        if name in stem:
            out[stem[name]] = (dtype, shape, data)
        if not name.startswith('blocks.') or name.endswith('bias_mask'):
            continue
        _, n, rest = name.split('.', 2)
        if rest.startswith('attn.qkv.'):
            third = len(data) // 3
            for i, part in enumerate('qkv'):
                if part != 'k' or rest.endswith('weight'):
                    out[f'layer.{n}.attention.{part}_proj.{rest[9:]}'] = (
                        dtype, [shape[0] // 3] + shape[1:], data[i * third:(i + 1) * third])
            continue
        for old, new in inner.items():
            if rest == old or rest.startswith(old + '.'):
                out[f'layer.{n}.' + new + rest[len(old):]] = (dtype, shape, data)
    return out


def conv(t, name, out, into):
    t[name + '.block.0.weight'] = f32([out, into, 3, 3])
    batch_norm(t, name + '.block.1', out)


def residual(t, name, c):
    conv(t, name, c, c)
    t[name + '.block.3.weight'] = f32([c, c, 3, 3])
    batch_norm(t, name + '.block.4', c)


def batch_norm(t, name, c):
    for part in ('weight', 'bias', 'running_mean', 'running_var'):
        t[f'{name}.{part}'] = f32([c])
    t[f'{name}.num_batches_tracked'] = ('I64', [], struct.pack('<q', 3))


def generator(fusion='cnn'):
    t = {}
    conv(t, 'encoder.enc1.0', BASE, 1)
    residual(t, 'encoder.enc1.1', BASE)
    for k in (2, 3, 4):
        c = BASE << (k - 1)
        conv(t, f'encoder.enc{k}.1', c, c // 2)
        residual(t, f'encoder.enc{k}.2', c)
    for k in (1, 2, 3, 4):
        c = BASE << (k - 1)
        conv(t, f'proj_f{3 * k}', c, DIM)
        conv(t, f'fuse{k}.proj_dino', c, c)
        conv(t, f'fuse{k}.proj_img', c, c)
        if fusion == 'cnn':
            t[f'fuse{k}.merge.0.weight'] = f32([c, 2 * c, 1, 1])
            batch_norm(t, f'fuse{k}.merge.1', c)
            residual(t, f'fuse{k}.merge.3', c)
    for up in (1, 2, 3):
        c = BASE << (3 - up)
        conv(t, f'decoder.up{up}.1', c, 2 * c)
        residual(t, f'decoder.up{up}.2', c)
    conv(t, 'decoder.out.0', BASE // 2, BASE)
    t['decoder.out.1.weight'] = f32([1, BASE // 2, 3, 3])
    t['decoder.out.1.bias'] = f32([1])
    return t


META = meta_backbone()
GENERATOR = generator()


def prefixed(tensors, prefix):
    return {prefix + name: t for name, t in tensors.items()}


def run(*words, env=None):
    environment = {k: v for k, v in os.environ.items() if k != 'SCTD_MODELS_DIR'}
    environment.update(env or {})
    return subprocess.run([SCTD, *map(str, words)], capture_output=True, text=True, timeout=120, env=environment)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        self.models = self.dir / 'models'

    def write(self, name, tensors):
        path = self.dir / name
        write_safetensors(path, tensors)
        return path

    def do_import(self, backbone, gen, *more, name='m', version='1', recipe='mr'):
        return run('model', 'import', '--backbone', backbone, '--generator', gen, '--recipe', recipe, '--name', name,
                   '--version', version, '--models-dir', self.models, *more)

    def must_import(self, backbone, gen, *more, **options):
        done = self.do_import(backbone, gen, *more, '--json', **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def leftovers(self):
        return sorted(p.name for p in self.models.iterdir()) if self.models.is_dir() else []


class Front(Case):
    def test_help_names_every_command(self):
        done = run('--help')
        self.assertEqual(done.returncode, 0)
        for word in ('model', 'infer', 'bench'):
            self.assertIn(word, done.stdout)
        self.assertEqual(run('help').stdout, done.stdout)

    def test_version_is_one_line(self):
        done = run('--version')
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r'\Asctd \d+\.\d+\.\d+\n\Z')

    def test_help_of_a_command_is_its_own_help(self):
        self.assertEqual(run('help', 'model').stdout, run('model', '--help').stdout)
        self.assertEqual(run('help', 'model', 'import').stdout, run('model', 'import', '--help').stdout)
        self.assertIn('--backbone', run('model', 'import', '--help').stdout)

    def test_unknown_commands_and_options_are_usage_errors_with_a_suggestion(self):
        for words, hint in ((['modle'], 'model'), (['model', 'improt'], 'import'),
                            (['model', 'list', '--modles-dir', 'x'], '--models-dir'), (['help', 'bnech'], 'bench')):
            done = run(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(hint, done.stderr)
            self.assertEqual(done.stdout, '')

    def test_nothing_asked_is_a_usage_error(self):
        for words in ([], ['model']):
            done = run(*words)
            self.assertEqual(done.returncode, 2)
            self.assertIn('usage:', done.stderr)

    def test_full_standard_output_is_a_failure(self):
        with open('/dev/full', 'w') as full:
            done = subprocess.run([SCTD, '--version'], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)


class Import(Case):
    def setUp(self):
        super().setUp()
        self.backbone = self.write('vit.safetensors', META)
        self.generator = self.write('gen.safetensors', GENERATOR)

    def test_everything_that_the_shapes_tell_is_told(self):
        facts = self.must_import(self.backbone, self.generator)
        manifest = json.loads((self.models / 'm@1' / 'manifest.json').read_text())
        self.assertEqual(manifest['network'], {
            'height': 256, 'width': 256,
            'backbone': {'dim': 16, 'depth': 12, 'heads': 1, 'hidden': 24, 'ffn': 'mlp', 'storage_tokens': 4,
                         'features': [2, 5, 8, 11]},
            'generator': {'base_channels': 4, 'fusion': 'cnn', 'levels': [True] * 4, 'cnn': True}})
        self.assertEqual(manifest['recipe'], {
            'modality': 'MR', 'clip': {'kind': 'percentile', 'low': 1, 'high': 99}, 'cnn_range': [-1, 1],
            'dino_range': [0, 2], 'hu_range': [-1024, 2000]})
        weights = (self.models / 'm@1' / 'weights.safetensors').read_bytes()
        self.assertEqual(manifest['weights'], {'file': 'weights.safetensors', 'bytes': len(weights),
                                               'sha256': hashlib.sha256(weights).hexdigest()})
        self.assertEqual(facts['weights']['sha256'], manifest['weights']['sha256'])
        source = manifest['sources']['backbone']
        self.assertEqual(source['file'], 'vit.safetensors')
        self.assertEqual(source['sha256'], hashlib.sha256(self.backbone.read_bytes()).hexdigest())
        self.assertEqual(manifest['content_qualification'], 'RESEARCH')

    LIMITS = {'air_outside_percent': 1.5, 'hole_ml': 2, 'slice_jump_hu': 40, 'outline_mm': 6.25,
              'field_of_view_percent': 3, 'saturation_percent': 0.5,
              'tissues': [{'name': 'bone', 'hu': [250, 2000], 'percent': [2, 9]}],
              'intensity': [{'percentile': 50, 'range': [0.25, 0.75]}]}

    def test_limits_are_the_default_ones_those_of_a_file_or_none(self):
        facts = self.must_import(self.backbone, self.generator, version='1')
        self.assertEqual(facts['quality']['outline_mm'], 15)
        self.assertEqual((facts['quality']['tissues'], facts['quality']['intensity']), ([], []))
        same = self.must_import(self.backbone, self.generator, '--quality', 'default', version='2')
        self.assertEqual(same['quality'], facts['quality'])
        path = self.dir / 'limits.json'
        path.write_text(json.dumps(self.LIMITS))
        facts = self.must_import(self.backbone, self.generator, '--quality', path, version='3')
        self.assertEqual(facts['quality'], self.LIMITS)
        facts = self.must_import(self.backbone, self.generator, '--quality', 'none', version='4')
        self.assertNotIn('quality', facts)
        self.assertNotIn('quality', (self.models / 'm@4' / 'manifest.json').read_text())
        shown = {v: run('model', 'show', f'm@{v}', '--models-dir', self.models).stdout for v in '134'}
        self.assertIn('15 mm outline', shown['1'])
        for text in ('6.25 mm outline', 'bone (250 ... 2000 HU) 2 ... 9 %', 'percentile 50 of the source at 0.25 ... 0.75'):
            self.assertIn(text, shown['3'])
        self.assertIn('nothing is judged', shown['4'])
        facts = json.loads(run('model', 'show', 'm@3', '--models-dir', self.models, '--json').stdout)
        self.assertEqual(facts['quality'], self.LIMITS)

    def test_limits_that_are_none_are_refused_by_name(self):
        path = self.dir / 'limits.json'
        for limits, reason in ((self.LIMITS | {'hole_ml': -1}, 'hole_ml'), (self.LIMITS | {'holes': 1}, 'holes'),
                               ({k: v for k, v in self.LIMITS.items() if k != 'tissues'}, 'tissues')):
            path.write_text(json.dumps(limits))
            done = self.do_import(self.backbone, self.generator, '--quality', path)
            self.assertEqual(done.returncode, 1)
            self.assertIn(reason, done.stderr)
            self.assertIn('limits.json', done.stderr)
        done = self.do_import(self.backbone, self.generator, '--quality', 'strict')
        self.assertEqual(done.returncode, 2)
        self.assertIn('default, none or a JSON file', done.stderr)
        self.assertEqual(self.leftovers(), [])

    def test_all_namings_give_the_same_weights(self):
        hashes = {self.must_import(self.backbone, self.generator, version='a')['weights']['sha256']}
        wrapped = self.write('wrapped.safetensors', {
            **prefixed(META, 'module.backbone.teacher.'), 'teacher.dino_head.mlp.weight': f32([2]),
            'teacher.ibot_head.mlp.weight': f32([2]), 'teacher.backbone.local_cls_norm.weight': f32([DIM])})
        hashes.add(self.must_import(wrapped, self.generator, version='b')['weights']['sha256'])
        hf = self.write('hf.safetensors', hugging_face(META))
        hashes.add(self.must_import(hf, self.generator, '--heads', '1', version='c')['weights']['sha256'])
        module = self.write('module.safetensors', prefixed(GENERATOR, 'module.'))
        hashes.add(self.must_import(self.backbone, module, version='d')['weights']['sha256'])
        self.assertEqual(len(hashes), 1)

    def test_narrower_and_wider_types_become_f32(self):
        half = dict(META)
        wide = dict(META)
        values = [1.0, -2.5, 0.0, 65504.0] * 4
        for tensors, dtype, letter in ((half, 'F16', 'e'), (wide, 'F64', 'd')):
            tensors['norm.bias'] = (dtype, [DIM], struct.pack(f'<{DIM}{letter}', *values))
        plain = dict(META)
        plain['norm.bias'] = f32([DIM], values)
        hashes = {self.must_import(self.write(f'{i}.safetensors', t), self.generator,
                                   version=str(i))['weights']['sha256'] for i, t in enumerate((half, wide, plain))}
        self.assertEqual(len(hashes), 1)

    def test_missing_extra_and_misshapen_tensors_are_all_named(self):
        broken = dict(META)
        del broken['blocks.3.ls1.gamma']
        del broken['blocks.7.mlp.fc1.bias']
        broken['blocks.0.norm1.weight'] = f32([DIM + 1])
        broken['blocks.12x.norm1.weight'] = f32([DIM])
        other = dict(GENERATOR)
        del other['decoder.out.1.bias']
        other['fuse2.surprise'] = f32([2])
        done = self.do_import(self.write('broken.safetensors', broken), self.write('other.safetensors', other))
        self.assertEqual(done.returncode, 1)
        lines = done.stderr.splitlines()
        self.assertIn('3 missing', lines[0])
        for needle in ('backbone: missing: blocks.3.ls1.gamma [16]', 'backbone: missing: blocks.7.mlp.fc1.bias [24]',
                       'backbone: wrong shape: blocks.0.norm1.weight is [17], expected [16]',
                       'backbone: extra: blocks.12x.norm1.weight F32 [16]', 'generator: missing: decoder.out.1.bias [1]',
                       'generator: extra: fuse2.surprise F32 [2]'):
            self.assertIn(needle, [line.strip() for line in lines[1:]])
        self.assertEqual(len(lines), 7)
        self.assertEqual(self.leftovers(), [])

    def test_values_that_cannot_be_are_refused_by_name(self):
        nan = dict(META)
        nan['blocks.5.norm2.bias'] = f32([DIM], [float('nan')] * DIM)
        nan['blocks.4.attn.qkv.bias_mask'] = f32([3 * DIM], [float('nan')] * 3 * DIM)
        other = dict(GENERATOR)
        other['proj_f6.block.1.running_var'] = f32([8], [1.0] * 7 + [-0.5])
        done = self.do_import(self.write('nan.safetensors', nan), self.write('other.safetensors', other))
        self.assertEqual(done.returncode, 1)
        for needle in ('blocks.5.norm2.bias', 'blocks.4.attn.qkv.bias_mask', 'proj_f6.block.1.running_var'):
            self.assertIn(needle, done.stderr)
        self.assertEqual(self.leftovers(), [])

    def test_bias_that_no_block_has_is_zero(self):
        bare = {n: t for n, t in META.items() if not n.endswith(('attn.qkv.bias', 'bias_mask'))}
        zero = dict(META)
        for n in range(DEPTH):
            zero[f'blocks.{n}.attn.qkv.bias'] = f32([3 * DIM], [0.0] * 3 * DIM)
        one = self.must_import(self.write('bare.safetensors', bare), self.generator, version='1')
        two = self.must_import(self.write('zero.safetensors', zero), self.generator, version='2')
        self.assertEqual(one['weights']['sha256'], two['weights']['sha256'])

    def test_heads_that_nothing_tells_must_be_given(self):
        hf = self.write('hf.safetensors', hugging_face(META))
        done = self.do_import(hf, self.generator)
        self.assertEqual(done.returncode, 2)
        self.assertIn('--heads', done.stderr)
        done = self.do_import(self.backbone, self.generator, '--heads', '2')
        self.assertEqual(done.returncode, 2)

    def test_existing_model_is_never_replaced(self):
        self.must_import(self.backbone, self.generator)
        before = {p.name: p.read_bytes() for p in (self.models / 'm@1').iterdir()}
        done = self.do_import(self.backbone, self.generator, recipe='cbct')
        self.assertEqual(done.returncode, 2)
        self.assertIn('m@1', done.stderr)
        self.assertEqual(before, {p.name: p.read_bytes() for p in (self.models / 'm@1').iterdir()})
        self.assertEqual(self.leftovers(), ['m@1'])

    def kill_import_when_there(self, pattern, backbone, version):
        """Start an import and kill it as soon as a path of this pattern is there; whether it still ran."""
        words = ['--backbone', backbone, '--generator', self.generator, '--recipe', 'mr', '--name', 'killed',
                 '--version', version, '--models-dir', self.models]
        with subprocess.Popen([SCTD, 'model', 'import', *map(str, words)], stdout=subprocess.DEVNULL) as child:
            while child.poll() is None and not list(self.models.glob(pattern)):
                pass
            child.kill()
        return child.returncode == -signal.SIGKILL

    def test_killed_import_leaves_nothing_that_the_next_does_not_remove(self):
        self.models.mkdir()
        killed = 0
        for turn, pattern in enumerate(3 * ('.import.*', '.import.*/*', '.import.*/weights.safetensors')):
            killed += self.kill_import_when_there(pattern, self.backbone, str(turn))
            self.must_import(self.backbone, self.generator, name='next', version=str(turn))
            self.assertEqual([name for name in self.leftovers() if name.startswith('.')], [])
        self.assertGreater(killed, 0)
        for line in run('model', 'list', '--models-dir', self.models).stdout.splitlines():
            name = line.split()[0]
            self.assertEqual(run('model', 'verify', name, '--models-dir', self.models).returncode, 0, name)

    def test_import_leaves_one_that_is_still_at_work(self):
        self.models.mkdir()
        held = self.models / '.import.1.0'
        dead = self.models / '.import.1.1'
        for folder in (held, dead):
            folder.mkdir()
            (folder / 'weights.safetensors').write_bytes(b'half')
        lock = os.open(held, os.O_RDONLY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.must_import(self.backbone, self.generator)
        self.assertEqual(self.leftovers(), ['.import.1.0', 'm@1'])
        self.assertEqual((held / 'weights.safetensors').read_bytes(), b'half')

    def test_wrong_words_are_usage_errors(self):
        for more, options in ((['--size', '100x100'], {}), (['--size', '256'], {}), (['--fusion', 'attn'], {}),
                              ([], {'name': '../x'}), ([], {'name': 'A'}), ([], {'version': ''}),
                              ([], {'recipe': 'ct'})):
            done = self.do_import(self.backbone, self.generator, *more, **options)
            self.assertEqual(done.returncode, 2, (more, options, done.stderr))
            self.assertEqual(done.stdout, '')
        self.assertEqual(self.leftovers(), [])

    def test_fusion_that_the_file_contradicts_is_refused(self):
        done = self.do_import(self.backbone, self.generator, '--fusion', 'se')
        self.assertEqual(done.returncode, 1)
        self.assertIn('generator: missing: fuse1.fc.1.weight [1, 8, 1, 1]', done.stderr)

    def test_fusion_none_drops_what_it_does_not_use(self):
        gen = self.write('none.safetensors', generator('none'))
        facts = self.must_import(self.backbone, gen)
        self.assertEqual(facts['network']['generator']['fusion'], 'none')

    def test_generator_without_encoder_uses_no_fusion(self):
        gen = self.write('nocnn.safetensors', {n: t for n, t in GENERATOR.items() if not n.startswith('encoder.')})
        facts = self.must_import(self.backbone, gen)
        self.assertEqual(facts['network']['generator'],
                         {'base_channels': 4, 'fusion': 'none', 'levels': [True] * 4, 'cnn': False})

    def test_unused_levels_are_told(self):
        gen = self.write('levels.safetensors',
                         {n: t for n, t in GENERATOR.items()
                          if not n.startswith(('proj_f3.', 'proj_f9.', 'fuse1.', 'fuse3.'))})
        facts = self.must_import(self.backbone, gen)
        self.assertEqual(facts['network']['generator']['levels'], [False, True, False, True])

    def test_parts_of_different_width_do_not_fit(self):
        gen = dict(GENERATOR)
        for k in (3, 6, 9, 12):
            name = f'proj_f{k}.block.0.weight'
            gen[name] = f32([gen[name][1][0], 32, 3, 3])
        done = self.do_import(self.backbone, self.write('wide.safetensors', gen))
        self.assertEqual(done.returncode, 1)
        self.assertIn('width 32', done.stderr)

    def test_swapped_checkpoints_are_recognised(self):
        done = self.do_import(self.generator, self.backbone)
        self.assertEqual(done.returncode, 1)
        self.assertIn('no DINOv3 checkpoint', done.stderr)

    def test_recipe_file_is_read_and_checked(self):
        recipe = {'modality': 'MR', 'clip': {'kind': 'fixed', 'low': 0, 'high': 1500.5}, 'cnn_range': [-1, 1],
                  'dino_range': [-1, 1], 'hu_range': [-1000, 3000]}
        path = self.dir / 'recipe.json'
        path.write_text(json.dumps(recipe))
        facts = self.must_import(self.backbone, self.generator, recipe=path)
        self.assertEqual(facts['recipe'], recipe)
        recipe['gamma'] = 1
        path.write_text(json.dumps(recipe))
        done = self.do_import(self.backbone, self.generator, recipe=path, version='2')
        self.assertEqual(done.returncode, 1)
        self.assertIn('gamma', done.stderr)

    def test_missing_file_is_named(self):
        done = self.do_import(self.dir / 'nothing.pth', self.generator)
        self.assertEqual(done.returncode, 1)
        self.assertIn('nothing.pth', done.stderr)


class Use(Case):
    def setUp(self):
        super().setUp()
        self.facts = self.must_import(self.write('vit.safetensors', META), self.write('gen.safetensors', GENERATOR))

    def model(self, *words, **options):
        return run('model', *words, '--models-dir', self.models, **options)

    def test_list_shows_each_model_once_and_broken_ones_too(self):
        (self.models / 'broken@1').mkdir()
        (self.models / 'broken@1' / 'manifest.json').write_text('{}')
        listed = self.model('list', '--json')
        self.assertEqual(listed.returncode, 0)
        models = json.loads(listed.stdout)['models']
        self.assertEqual([m['name'] for m in models if 'name' in m], ['m'])
        self.assertEqual(len([m for m in models if 'error' in m]), 1)
        self.assertIn('m@1', self.model('list').stdout)

    def test_list_of_nothing_is_empty(self):
        done = run('model', 'list', '--json', '--models-dir', self.dir / 'nowhere')
        self.assertEqual((done.returncode, json.loads(done.stdout)), (0, {'models': []}))

    def test_show_finds_by_name_version_and_path(self):
        for spec in ('m', 'm@1', str(self.models / 'm@1')):
            done = self.model('show', spec, '--json')
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)['weights']['sha256'], self.facts['weights']['sha256'])
        self.assertIn(self.facts['weights']['sha256'], self.model('show', 'm').stdout)

    def test_unknown_model_says_which_there_are(self):
        done = self.model('show', 'n')
        self.assertEqual(done.returncode, 2)
        self.assertIn('m@1', done.stderr)

    def test_environment_names_the_models_folder(self):
        done = run('model', 'show', 'm', env={'SCTD_MODELS_DIR': str(self.models)})
        self.assertEqual(done.returncode, 0)

    def test_verify_finds_a_flipped_bit(self):
        self.assertEqual(self.model('verify', 'm').returncode, 0)
        weights = self.models / 'm@1' / 'weights.safetensors'
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
        done = self.model('verify', 'm', '--json')
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)['ok'], False)

    def test_verify_finds_cut_weights(self):
        weights = self.models / 'm@1' / 'weights.safetensors'
        weights.write_bytes(weights.read_bytes()[:-4])
        self.assertEqual(self.model('verify', 'm').returncode, 1)

    def test_verify_finds_an_edited_network(self):
        path = self.models / 'm@1' / 'manifest.json'
        path.write_text(path.read_text().replace('"hidden": 24', '"hidden": 25'))
        done = self.model('verify', 'm')
        self.assertEqual(done.returncode, 1)
        self.assertIn('blocks.0.mlp.fc1.weight', done.stderr)


@unittest.skipUnless(GOLDENS.is_dir(), 'no golden files beside the repository')
class Goldens(Case):
    def sha(self, backbone, gen, *more):
        version = str(len(self.leftovers()))
        return self.must_import(GOLDENS / backbone, GOLDENS / gen, *more, version=version)['weights']['sha256']

    def test_every_format_of_one_checkpoint_gives_the_same_weights(self):
        pairs = [('vit-meta.safetensors', 'generator-cnn.safetensors'), ('vit.pth', 'generator-cnn.safetensors'),
                 ('vit-meta.safetensors', 'best_net_G.pth'), ('vit-meta.safetensors', 'legacy_net_G.pth'),
                 ('vit-meta.safetensors', 'module_prefix_net_G.pth')]
        hashes = {self.sha(*pair) for pair in pairs}
        hashes.add(self.sha('vit-hf.safetensors', 'best_net_G.pth', '--heads', '6'))
        self.assertEqual(len(hashes), 1)

    def test_every_variant_is_told(self):
        for gen, fusion, levels, cnn in (('cnn', 'cnn', [True] * 4, True), ('gated', 'gated', [True] * 4, True),
                                         ('se', 'se', [True] * 4, True), ('none', 'none', [True] * 4, True),
                                         ('nocnn', 'none', [True] * 4, False), ('pipeline', 'cnn', [True] * 4, True),
                                         ('cnn-layers-0101', 'cnn', [False, True, False, True], True)):
            facts = self.must_import(GOLDENS / 'vit-swiglu-meta.safetensors', GOLDENS / f'generator-{gen}.safetensors',
                                     version=gen)
            self.assertEqual(facts['network']['generator'],
                             {'base_channels': 8, 'fusion': fusion, 'levels': levels, 'cnn': cnn})
            self.assertEqual(facts['network']['backbone'],
                             {'dim': 96, 'depth': 12, 'heads': 6, 'hidden': 384, 'ffn': 'swiglu', 'storage_tokens': 4,
                              'features': [2, 5, 8, 11]})


class Limits(Case):
    """sctd model limits"""
    USUAL = (('air-outside', '', 0.1, '%'), ('holes', '', 0, 'ml'), ('slice-jump', '', 10, 'HU'), ('outline', '', 3, 'mm'),
             ('saturation', '', 0, '%'), ('tissue', 'bone', 6, '%'), ('field-of-view', '', 0, '%'),
             ('intensity', '50', 0.4, '1'))

    def report(self, name, **values):
        checks = [{'check': c, 'what': w, 'verdict': 'measured', 'value': values.get(c.replace('-', '_'), v), 'low': None,
                   'high': None, 'unit': u, 'hu_low': 250 if c == 'tissue' else None,
                   'hu_high': 2000 if c == 'tissue' else None, 'z_mm': None, 'text': ''} for c, w, v, u in self.USUAL]
        path = self.dir / name
        path.write_text(json.dumps({'verdict': 'measured', 'checks': checks}))
        return path

    def test_what_is_printed_is_what_import_reads(self):
        files = [self.report('a.json'), self.report('b.json', outline=4, tissue=8, intensity=0.5)]
        done = run('model', 'limits', *files)
        self.assertEqual(done.returncode, 0, done.stderr)
        limits = json.loads(done.stdout)
        self.assertEqual(limits, {
            'air_outside_percent': 0.6, 'hole_ml': 2.5, 'slice_jump_hu': 28.75, 'outline_mm': 7.75,
            'field_of_view_percent': 1.25, 'saturation_percent': 0.5,
            'tissues': [{'name': 'bone', 'hu': [250, 2000], 'percent': [4.5, 10]}],
            'intensity': [{'percentile': 50, 'range': [0.3, 0.625]}]})
        (self.dir / 'limits.json').write_text(done.stdout)
        facts = self.must_import(self.write('vit.safetensors', META), self.write('gen.safetensors', GENERATOR),
                                 '--quality', self.dir / 'limits.json')
        self.assertEqual(facts['quality'], limits)
        tight = json.loads(run('model', 'limits', '--margin', '0', *files).stdout)
        self.assertEqual((tight['outline_mm'], tight['tissues'][0]['percent']), (4, [5.5, 8.5]))

    def test_report_beyond_the_default_limits_is_refused_by_name_unless_loose(self):
        files = [self.report('good.json'), self.report('far.json', outline=17.5)]
        done = run('model', 'limits', *files)
        self.assertEqual(done.returncode, 1)
        self.assertIn('far.json: outline is 17.5 mm', done.stderr)
        self.assertEqual(json.loads(run('model', 'limits', '--loose', *files).stdout)['outline_mm'], 21.25)
        done = run('model', 'limits', self.report('near.json', outline=14))
        self.assertEqual(json.loads(done.stdout)['outline_mm'], 15)

    def test_what_is_no_report_is_refused_by_name(self):
        bad = self.dir / 'bad.json'
        for text, reason in (('{', 'bad.json'), ('{}', 'verdict'), ('{"verdict": "passed", "checks": []}', 'air-outside'),
                             (self.report('x.json', holes=None).read_text(), 'holes has no value')):
            bad.write_text(text)
            done = run('model', 'limits', self.report('good.json'), bad)
            self.assertEqual(done.returncode, 1)
            self.assertIn('bad.json', done.stderr)
            self.assertIn(reason, done.stderr)
            self.assertEqual(done.stdout, '')
        self.assertEqual(run('model', 'limits').returncode, 2)
        self.assertEqual(run('model', 'limits', self.dir / 'none.json').returncode, 1)


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    unittest.main(verbosity=1)
