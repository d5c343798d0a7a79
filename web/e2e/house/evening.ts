/** What is said on the screenshots: [who, when, what], in the order in which it is said. */
export type Line = readonly [who: Guest, at: string, text: string];
export type Guest = 'Ann' | '李雷' | '韩梅梅' | 'Tomás';

/** The moment at which the pictures are taken. */
export const NOW = '2026-03-14T16:02:00+08:00';

export const LOBBY: readonly Line[] = [
  ['Tomás', '2026-03-13T21:03:10+08:00', 'Moved our group over last night. One binary, one folder. I keep looking for the other forty containers.'],
  ['Ann', '2026-03-13T21:05:42+08:00', 'Ha! Welcome. Scroll up whenever you like, the rooms remember.'],
  ['韩梅梅', '2026-03-13T21:06:05+08:00', '大家好，我用手机进来的，挺顺手 👋'],
  ['Ann', '2026-03-14T15:20:12+08:00', 'Tea at four? I brought some Longjing back from Hangzhou.'],
  ['李雷', '2026-03-14T15:21:03+08:00', '龙井！算我一个。'],
  ['李雷', '2026-03-14T15:21:20+08:00', '要不要带点心？'],
  ['Tomás', '2026-03-14T15:24:47+08:00', 'I can do scones, if somebody tells me how hot the oven should be.'],
  ['Ann', '2026-03-14T15:25:31+08:00', '220 °C, twelve minutes. Do not open the door to look: they know.'],
  ['Tomás', '2026-03-14T15:38:09+08:00', 'On the train now. A tunnel every ten minutes, and so far not one message got lost.'],
  ['韩梅梅', '2026-03-14T15:41:55+08:00', '水温八十度左右就好，别用开水。这里讲得很细：https://zh.wikipedia.org/wiki/龙井茶'],
  ['Ann', '2026-03-14T15:42:30+08:00', '80 °C, noted. 谢谢梅梅!'],
  ['Ann', '2026-03-14T15:42:41+08:00', 'The kettle has a dial for it; I always thought it was decoration.'],
  ['李雷', '2026-03-14T15:58:16+08:00', '到楼下了 🫖'],
];

export const TEAROOM: readonly Line[] = [
  ['李雷', '2026-03-13T19:30:02+08:00', '今天去了城南那家老茶馆，一碗茶坐了一下午。'],
  ['韩梅梅', '2026-03-13T19:31:40+08:00', '听说书了吗？'],
  ['李雷', '2026-03-13T19:32:15+08:00', '听了，讲的是三国，正讲到空城计，茶都凉了我还没舍得走。'],
  ['韩梅梅', '2026-03-14T14:50:22+08:00', '周六去爬山的名单定了：我、李雷、Ann，Tomás还没回话。'],
  ['Tomás', '2026-03-14T14:52:08+08:00', '我来！ Is it steep?'],
  ['韩梅梅', '2026-03-14T14:53:30+08:00', '不陡，两个小时上山，下来正好喝茶。'],
  ['Ann', '2026-03-14T14:54:11+08:00', 'I will bring the thermos. 几点集合？'],
  ['韩梅梅', '2026-03-14T14:55:02+08:00', '早上七点，地铁站B口。\n带水、帽子，还有一件外套，山上风大。'],
  ['李雷', '2026-03-14T15:56:47+08:00', '收到，七点见。'],
  ['李雷', '2026-03-14T15:56:58+08:00', '👍'],
];

export const RUST: readonly Line[] = [
  ['Tomás', '2026-03-14T13:10:33+08:00', 'Reading group tonight: chapter four, who owns what.'],
  ['韩梅梅', '2026-03-14T13:12:04+08:00', '借用检查器又赢了我一局。'],
  ['Ann', '2026-03-14T13:12:50+08:00', 'It only wants what is best for you.'],
];

export const ROOMS: readonly (readonly [name: string, lines: readonly Line[]])[] = [
  ['lobby', LOBBY],
  ['rust-学习', RUST],
  ['茶馆', TEAROOM],
];

/** Said last, where those who look at the pictures are not: it is unread for them. */
export const LATE: readonly (readonly [room: string, line: Line])[] = [
  ['rust-学习', ['Tomás', '2026-03-14T15:59:20+08:00', 'Starting at eight, bring your compile errors.']],
  ['茶馆', ['韩梅梅', '2026-03-14T16:00:05+08:00', '给大家占好座了，靠窗那张。']],
  ['茶馆', ['韩梅梅', '2026-03-14T16:00:31+08:00', '水已经烧上了。']],
  ['lobby', ['Tomás', '2026-03-14T16:01:12+08:00', 'Platform two. Save me a cup!']],
];
