"""What is said of moving emoji in 14 languages: a name, a colon, and which way it moves, so that
nothing has to agree with the name's gender, number or case."""

from __future__ import annotations

from collections.abc import Mapping

_LINES = """\
en|moves left|moves right|moves up|moves down|Which one moves?|Which one came first?
es|va a la izquierda|va a la derecha|va hacia arriba|va hacia abajo|¿Cuál se mueve?|¿Cuál llegó antes?
ja|左へ動く|右へ動く|上へ動く|下へ動く|動くのはどれ?|先に現れたのはどれ?
ko|왼쪽으로 움직인다|오른쪽으로 움직인다|위로 움직인다|아래로 움직인다|움직이는 것은?|먼저 나타난 것은?
pt|vai para a esquerda|vai para a direita|vai para cima|vai para baixo|Qual se move?|Qual chegou primeiro?
it|va a sinistra|va a destra|va in alto|va in basso|Quale si muove?|Quale è arrivato prima?
fr|va à gauche|va à droite|va en haut|va en bas|Lequel bouge ?|Lequel est arrivé en premier ?
de|geht nach links|geht nach rechts|geht nach oben|geht nach unten|Was bewegt sich?|Was kam zuerst?
fa|به چپ می‌رود|به راست می‌رود|به بالا می‌رود|به پایین می‌رود|کدام حرکت می‌کند؟|کدام اول آمد؟
id|bergerak ke kiri|bergerak ke kanan|bergerak ke atas|bergerak ke bawah|Mana yang bergerak?|Mana yang muncul lebih dulu?
zh|向左移动|向右移动|向上移动|向下移动|哪个在移动？|哪个先出现？
ru|движется влево|движется вправо|движется вверх|движется вниз|Что движется?|Что появилось первым?
tr|sola gidiyor|sağa gidiyor|yukarı gidiyor|aşağı gidiyor|Hangisi hareket ediyor?|Hangisi önce geldi?
ar|يتحرك إلى اليسار|يتحرك إلى اليمين|يتحرك إلى الأعلى|يتحرك إلى الأسفل|أيهما يتحرك؟|أيهما ظهر أولا؟
"""  # noqa: E501

_BY_LANGUAGE = {tag: rest for tag, *rest in (line.split("|") for line in _LINES.splitlines())}

MOVES: Mapping[str, Mapping[str, str]] = {
    tag: dict(zip(("left", "right", "up", "down"), said, strict=False))
    for tag, said in _BY_LANGUAGE.items()
}
WHICH_MOVES: Mapping[str, str] = {tag: said[4] for tag, said in _BY_LANGUAGE.items()}
CAME_FIRST: Mapping[str, str] = {tag: said[5] for tag, said in _BY_LANGUAGE.items()}
